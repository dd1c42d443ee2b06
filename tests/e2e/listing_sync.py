"""One of the demo's two sync systems as the process of a pod, run as a program: python listing_sync.py FOLDER [SUFFIX]

FOLDER holds the spreadsheet and the database; the workload is old or new with the suffix. The rest a pod knows from its
kubelet.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from demo.services import sync
from demo.workspace import Workspace


def main() -> int:
    """See the module."""
    data, side = Workspace(Path(sys.argv[1])), os.environ["SYNCROLLOUT_SIDE"]
    workload = "".join([side, *sys.argv[2:3]])
    argv = ["--version", side, "--workload", workload, "--every", "0.5", "--page-latency", "0.001"]
    argv += ["--listen", "127.0.0.1:0", "--metrics", f"127.0.0.1:{os.environ['METRICS_PORT']}"]
    argv += ["--source", str(data.sheet), "--store", str(data.store), "--journal", str(data.journal)]
    return sync.main([*argv, "--backup", str(data.backup)])


if __name__ == "__main__":
    sys.exit(main())
