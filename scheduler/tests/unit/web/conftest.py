"""What the tests of the web server share: a site that runs. Some have one of another kind."""

from __future__ import annotations

import pytest
from site_fake import Site


@pytest.fixture
def site() -> Site:
    made = Site()
    made.run()
    return made
