"""From a workspace to a specialist that answers: release, folder, model, and a first answer."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from slimdown.artefact import Artefact
from slimdown.errors import ArtefactIncomplete, SlimdownError
from slimdown.evaluate.confidence import AgreementModel
from slimdown.runtime.refused import broken, unknown
from slimdown.runtime.shelf import Ready, Unready
from slimdown.seal import Sealer
from slimdown.store import Store
from slimdown.train.run import load_specialist
from slimdown.types import Release

RELEASE = "release"
"""The stage under which a run keeps releases, by specialist id."""

_WARM_UP = "Is this the first text that it reads?"


def load(store: Store, folder: Path, sealer: Sealer, specialist_id: str) -> Ready | Unready:
    """Return a specialist of the workspace in ``folder``, or why it cannot answer.

    Raises what reading the store raises, a sealed release that does not open aside.
    """
    kept = store.result(RELEASE, specialist_id)
    if kept is None:
        return Unready(unknown(specialist_id), time.monotonic())
    release = None
    try:
        release = msgspec.convert(kept, Release)
        return _loaded(release, Artefact(folder / "specialists" / specialist_id, sealer))
    except (SlimdownError, msgspec.ValidationError) as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - a damaged folder may raise anything; others serve
        why = f"{type(error).__name__} while it was loaded; `slimdown run` trains it anew."
    return Unready(broken(specialist_id, why), time.monotonic(), release)


def refreshed(store: Store, ready: Ready) -> Ready:
    """Return a loaded specialist with its release as the newest run left it; its weights stay."""
    kept = store.result(RELEASE, ready.release.specialist_id)
    release = msgspec.convert(kept, Release) if kept else ready.release
    return Ready(release, ready.specialist, msgspec.convert(release.agreement, AgreementModel))


def _loaded(release: Release, artefact: Artefact) -> Ready:
    specialist = load_specialist(artefact)
    manifest = artefact.manifest()
    if manifest is None or manifest.id != release.specialist_id:
        raise ArtefactIncomplete(
            f"{artefact.path} holds another specialist than its name says. Delete it, and run "
            "`slimdown run` to train the right one."
        )
    # The first answer of a session is many times slower than those that follow.
    specialist.answer([_WARM_UP[: max(release.longest_input, 1)]])
    return Ready(release, specialist, msgspec.convert(release.agreement, AgreementModel))
