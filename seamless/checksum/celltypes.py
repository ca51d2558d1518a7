"""The names of the celltypes, as other code imports them; see `seamless.celltypes`."""

from __future__ import annotations

from seamless.celltypes import CELLTYPES, TEXT_CELLTYPES

celltypes = list(CELLTYPES)
text_types = list(TEXT_CELLTYPES)
