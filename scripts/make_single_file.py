"""Write remote-http-launcher.pyz: the helpers and the guard of the launcher as one file.

    python scripts/make_single_file.py [FILE]

Copy it to a machine that has Python 3.10 or newer; there: python3 remote-http-launcher.pyz install --bin ~/bin
"""

from __future__ import annotations

import sys
from pathlib import Path

from seamless.launcher.single_file import FILE_NAME, build


def main() -> int:
    """Write the file and say where."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else FILE_NAME)
    path.write_bytes(build())
    path.chmod(0o755)
    print(f"{path} ({path.stat().st_size} bytes)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
