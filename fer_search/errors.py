"""``UserError``, which the command line reports as one line on stderr; exit codes; the first line of other errors."""

import re

EXIT_USAGE = 2  # wrong usage or input
EXIT_NO_TRIAL = 3  # no trial completed, or too many failed in a row
EXIT_RUN_FOLDER = 4  # the run folder is in use, damaged, or its disk is full
EXIT_MISMATCH = 5  # the run was started with other data, another space or other options


class UserError(Exception):
    """An error that the user can fix: a path, an option, the content of a file.

    The message is one plain line that names the file or option and the way out. The command line prints it on stderr
    without a traceback (``--debug`` shows one) and exits with ``exit_code``.

    Args:
        message: One-line message.
        exit_code: Exit code of the command, one of the ``EXIT_`` constants.
    """

    def __init__(self, message: str, exit_code: int = EXIT_USAGE) -> None:
        super().__init__(" ".join(message.splitlines()))  # what it quotes, such as a file's name, may have several
        self.exit_code = exit_code


KERAS_PREFIX = "Exception encountered when calling "  # a line with the layer's name; the error is the next one
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def first_line(error: BaseException) -> str:
    """Return what an error says in its first line, below the line that Keras puts above a layer's; may be empty."""
    lines = [line.strip() for line in ANSI.sub("", str(error)).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith(KERAS_PREFIX):
        layer = lines[0].removeprefix(KERAS_PREFIX).rstrip(".").removesuffix("()").removesuffix(".call")
        return f"{layer}: {lines[1]}"
    return lines[0] if lines else ""
