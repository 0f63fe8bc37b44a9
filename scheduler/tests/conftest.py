"""Generated cases fail for what they find, never for how long a busy machine took over one."""

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
