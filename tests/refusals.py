"""Bad inputs as tables: one test looks at all of them, and names each that is not refused in its words."""

import re

import gru_lite as gru


def accepted(call, cases, error=gru.InputError):
    """Return what is wrong with (*arguments, words) of `cases`: nothing, when every call is refused.

    Args:
        call: is called with the arguments; it must raise `error` with one line that `words` (a pattern)
            is found in.
        cases: the table.
        error: class of the refusal.
    """
    wrong = []
    for *arguments, words in cases:
        try:
            said = f"nothing is raised, but {call(*arguments)!r:.60} comes back"
        except error as refusal:
            said = str(refusal)
            if re.search(words, said) and "\n" not in said:
                continue
        except Exception as other:
            said = repr(other)
        wrong.append(f"{arguments!r:.200}: {words!r} is not in: {said}")
    return wrong
