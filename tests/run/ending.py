"""main.py as a process that does not live to the end of its run: `python -m tests.run.ending HOW STEP FLAGS`.

HOW, once step STEP is saved: `killed`, `failed` by an error of its own, or `asked` to end by SIGTERM.
"""

import os
import runpy
import signal
import sys

from lad_jax.errors import InputError
from lad_jax.run import saving

how, step = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
save = saving.save


def save_and_end(manager, state, meta):
    save(manager, state, meta)
    if int(state.step) == step:
        saving.finish(manager)
        if how == "failed":
            raise InputError("a picture cannot be read")
        os.kill(os.getpid(), signal.SIGKILL if how == "killed" else signal.SIGTERM)


saving.save = save_and_end
runpy.run_path("main.py", run_name="__main__")
