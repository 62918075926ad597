"""What went wrong with a download, in one sentence that names the checkpoint and what would help.

Knows the errors of huggingface_hub, of the network and of the disk; moves nothing itself.
"""

import errno
import re
from collections.abc import Mapping

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mmexplorer import runtime
from mmexplorer.errors import Refusal
from mmexplorer.hub_files import NotAHub
from mmexplorer.hub_transfer import BrokenOff, Corrupted
from mmexplorer.presets import Preset

GIVE_TOKEN = "`hf auth login` or the environment variable HF_TOKEN"
GOES_ON = "run it again, and it goes on from there"


def no_space(preset: Preset, wanted: int, free: int) -> Refusal:
    """The sentence for a disk that is too full."""
    return Refusal(
        f"{preset.label} needs {runtime.size_text(wanted)} more of disk space and {runtime.size_text(free)} is free in "
        f"{constants.HF_HUB_CACHE}; make room there, or set HF_HOME to a folder on another disk."
    )


def refusal(preset: Preset, error: Exception) -> Refusal:
    """The sentence for whatever ended a download; an error that is neither the Hub's, the network's nor the disk's is
    raised.
    """
    name = preset.label
    if isinstance(error, HfHubHTTPError):
        return Refusal(_said_no(preset, error))
    if isinstance(error, Corrupted):
        return Refusal(
            f"{name} arrived damaged ({error} is not what the Hub announced); run it again to fetch it anew."
        )
    if isinstance(error, NotAHub):
        return Refusal(
            f"What answered at {constants.ENDPOINT} when asked for {name} is not the Hub; look whether this network "
            "wants you to sign in first, and at HF_ENDPOINT."
        )
    if isinstance(error, HFValidationError):
        return Refusal(f"{name} cannot be on the Hub: {preset.source[:60]!r} is no name for a repository there.")
    if isinstance(error, BrokenOff):
        what = "fell silent" if _is_silence(error.__cause__) else "broke off"
        return Refusal(f"The download of {name} {what}; check the network, then {GOES_ON}.")
    if _is_silence(error):
        return Refusal(f"The Hub did not answer when asked for {name}; check the network, or choose a toy model.")
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        return Refusal(_disk_fails(preset, error))
    # The library of the network is whichever huggingface_hub uses: httpx, or its successor.
    if not (isinstance(error, ConnectionError) or type(error).__module__.startswith("http")):
        raise error
    return Refusal(
        f"{name} is not on this disk ({runtime.size_text(preset.disk_bytes)}) and the Hub could not be reached "
        f"at {constants.ENDPOINT}; check the network, or choose a toy model."
    )


def _said_no(preset: Preset, error: HfHubHTTPError) -> str:
    name, status = preset.label, error.response.status_code
    if isinstance(error, GatedRepoError):  # before RepositoryNotFoundError, which it extends
        return (
            f"{name} is gated: accept its terms at {constants.ENDPOINT}/{preset.source}, give the app a token of that "
            f"account ({GIVE_TOKEN}), and run it again."
        )
    if isinstance(error, RevisionNotFoundError):
        return (
            f"{name} is no longer published at the revision {preset.revision[:12]} that this app pins; choose another "
            "model."
        )
    if isinstance(error, RemoteEntryNotFoundError):
        return f"A file of {name} is no longer on the Hub; choose another model."
    # To whom gives no token, the Hub says the same of what is private and what does not exist.
    unknown_token = status == 401 and (get_token() or "Invalid credentials" in str(error))
    if isinstance(error, RepositoryNotFoundError) or status == 404 or (status == 401 and not unknown_token):
        return (
            f"{name} was not found on the Hub as {preset.source}; it may be removed, renamed or private, so choose "
            f"another model, or give the app a token that may read it ({GIVE_TOKEN})."
        )
    if unknown_token:
        return f"The Hub refuses the token that it was given for {name}; renew it ({GIVE_TOKEN}), or take it away."
    if status == 403:
        return f"The Hub does not let this app read {name}; give it a token that may ({GIVE_TOKEN})."
    if status == 429:
        return (
            f"The Hub has had too many requests from this address to give {name} now; try again in "
            f"{_wait_told(error.response.headers)}, or give the app a token ({GIVE_TOKEN}), which may ask more often."
        )
    return f"The Hub answered with error {status} when asked for {name}; try again in a few minutes."


def _wait_told(headers: Mapping[str, str]) -> str:
    """How long the Hub says to wait, by RFC 9110's Retry-After or the draft header RateLimit."""
    told = re.fullmatch(r"\d+", headers.get("Retry-After", "")) or re.search(
        r"(?<=;t=)\d+", headers.get("RateLimit", "")
    )
    return f"{told[0]} s" if told else "a few minutes"


def _is_silence(error: BaseException | None) -> bool:
    return "Timeout" in type(error).__name__


def _disk_fails(preset: Preset, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk became full while {preset.label} was written to {constants.HF_HUB_CACHE}; make room there, then "
            f"{GOES_ON}."
        )
    return (
        f"{preset.label} cannot be kept in {constants.HF_HUB_CACHE} ({error.strerror or type(error).__name__}); set "
        "HF_HOME to a folder that can be written to."
    )
