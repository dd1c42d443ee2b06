"""`python -m syncrollout`."""

import sys

from syncrollout.cli.main import main

sys.exit(main())
