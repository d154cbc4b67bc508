"""Every error that slimdown raises on purpose.

Each message says what happened, what was kept, and what to do next.

SlimdownError
├── UsageError            the caller asked for something that cannot be (exit code 2)
│   └── UnknownName       a short name that nothing answers to
├── StoreError            the workspace's file could not be used
│   ├── StoreLocked       another process writes to this workspace
│   └── StoreUnwritable   the folder or file cannot be written
├── KeyProblem            the key is missing, malformed or not the one that sealed the data
│   └── SealBroken        a sealed record does not open: wrong key, or altered or swapped data
├── ImportProblem         a file cannot be read as a log of calls
├── MissingExtra          an optional part of slimdown is not installed
├── ArtefactIncomplete    a specialist's folder has no manifest, or its files do not match it
├── TrainingFailed        a rung's training stopped with a cause
├── GateNotMet            what was asked needs evidence that is not there (exit code 3)
├── RouteConflict         the route table changed while a change to it was made
└── RuntimeUnavailable    the specialist runtime did not answer, or not in time
"""

from __future__ import annotations


class SlimdownError(Exception):
    """Base of all errors raised on purpose."""


class UsageError(SlimdownError):
    """The caller asked for something that cannot be: a bad flag, setting or argument."""


class UnknownName(UsageError):
    """A short name, "module:attr" or entry point that nothing answers to."""


class StoreError(SlimdownError):
    """The workspace's file could not be used."""


class StoreLocked(StoreError):
    """Another process writes to this workspace; the message names its process id."""


class StoreUnwritable(StoreError):
    """The workspace's folder or file cannot be written."""


class KeyProblem(SlimdownError):
    """The key is missing, malformed, or not the one that sealed this workspace."""


class SealBroken(KeyProblem):
    """A sealed record does not open: the wrong key, or the data was altered or swapped."""


class ImportProblem(SlimdownError):
    """A file cannot be read as a log of calls; nothing of it was stored."""


class MissingExtra(SlimdownError):
    """An optional part of slimdown is not installed; the message says how to get it."""


class ArtefactIncomplete(SlimdownError):
    """A specialist's folder has no manifest, or its files do not match the manifest."""


class TrainingFailed(SlimdownError):
    """A rung's training stopped; the message holds the cause, the workspace what was finished."""


class GateNotMet(SlimdownError):
    """What was asked needs evidence, such as a valid certificate, that is not there."""


class RouteConflict(SlimdownError):
    """Another process changed the route table between our reading and our writing."""


class RuntimeUnavailable(SlimdownError):
    """The specialist runtime did not answer, or not in time; the upstream is asked instead."""
