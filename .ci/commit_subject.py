"""Check the subject of a commit message, as git's hook commit-msg: `area: what`, 60 characters.

Usage: commit_subject.py FILE. Subjects that git writes itself (merge, revert, fixup) pass.
"""

import re
import sys
from pathlib import Path

LENGTH_MAX = 60
BY_GIT = ("Merge ", 'Revert "', 'Reapply "', "fixup! ", "squash! ", "amend! ")


def fault(message: str) -> str | None:
    """Return what is wrong with the subject of `message`, or None."""
    lines = (line.strip() for line in message.splitlines() if not line.startswith("#"))
    subject = next(filter(None, lines), "")
    if subject.startswith(BY_GIT):
        return None
    if not re.match(r"[\w./-]+: \S", subject):
        return "it must be `area: what`, as in `wire: refuse a tag of 25 bytes`"
    if len(subject) > LENGTH_MAX:
        return f"it has {len(subject)} characters, and {LENGTH_MAX} are allowed"
    if subject.endswith("."):
        return "it must not end with a full stop"
    return None


def main() -> None:
    reason = fault(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if reason:
        print(f"The commit's subject: {reason}. CONTRIBUTING.md has the rule.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
