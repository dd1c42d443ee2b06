"""`python -m syncrollout`."""

import sys

from syncrollout.cli.entry import main

sys.exit(main())
