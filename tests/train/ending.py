"""main.py as a process that does not live to the end of its run: `python -m tests.train.ending HOW STEP FLAGS`.

HOW: `killed` by the system, or `failed` by an error of its own; both once step STEP is saved.
"""

import os
import runpy
import signal
import sys

from lad_jax.errors import InputError
from lad_jax.train import checkpoint

how, step = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
save = checkpoint.save


def save_and_end(manager, state, *rest):
    save(manager, state, *rest)
    if int(state.step) == step:
        manager.wait_until_finished()
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise InputError("a picture cannot be read")


checkpoint.save = save_and_end
runpy.run_path("main.py", run_name="__main__")
