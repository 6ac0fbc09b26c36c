"""`python -m ood_core`: see `ood_core.cli`."""

import sys

from ood_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
