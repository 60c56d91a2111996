"""Names to implementations: one registry per kind of extension, filled by importing its folder.

A duplicate name is a programming error and raises; an unknown name is the user's and lists the choices.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from ray_downloader.errors import UserError

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps a name from the configuration to its implementation.

    Args:
        kind: What is registered, for messages: "dataset", "fetcher", ...
        package: Dotted package whose modules register themselves when they are imported.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that registers what it decorates under `name`.

        Raises:
            ValueError: The name is taken.
        """

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"two {self.kind}s are named {name!r}")
            self._entries[name] = entry
            return entry

        return enter

    def get(self, name: str) -> T:
        """The entry registered as `name`.

        Raises:
            UserError: The name is not registered; the message lists those that are.
        """
        self._load()
        try:
            return self._entries[name]
        except KeyError:
            raise UserError(f"there is no {self.kind} {name!r}; choose one of: {', '.join(self)}") from None

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._entries))

    def _load(self) -> None:
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._loaded = True
