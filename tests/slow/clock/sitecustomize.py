"""A clock that is set back by a day once the file `$CLOCK_SET_BACK` is there.

Python imports this module at its start where PYTHONPATH has this folder, in worker processes too. `time.time` and
`time.time_ns` are set back, which loggers, orbax and TensorBoard ask; `datetime` and the file system read the kernel's
clock, which cannot be set for one process alone.
"""

import os
import time
from typing import Any

DAY_S = 86400


def _set_back(clock: Any, by: Any) -> Any:
    return lambda: clock() - (by if os.path.exists(os.environ["CLOCK_SET_BACK"]) else 0)


time.time = _set_back(time.time, DAY_S)
time.time_ns = _set_back(time.time_ns, DAY_S * 10**9)
