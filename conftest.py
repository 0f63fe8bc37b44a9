"""Generated cases: the same in each run, so that a change is judged by what it changes.

`make test-properties` looks for new ones. No case fails for how long a busy machine took over it.
"""

import os

from hypothesis import settings

settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.register_profile("searching", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "5000")))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "reproducible"))
