"""The register of three-class tools: a filter, a scheduler and a runner under one name, as in the legacy project.

The decorators (`FilterRegister` and so on) are beside the base classes of each step; this module has what they share.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, TypeVar

from ray_downloader.tools.legacy.tool_config import ToolConfig

Family = Literal["filter", "scheduler", "runner"]

_FAMILIES: dict[str, dict[Family, type[ToolsBase]]] = {}


class ToolsBase(ABC):
    """One step of a tool. A subclass has a method `run`.

    Args:
        cfg: The configuration under the legacy project's keys, and the number of this runner.
    """

    #: The tool and the step that the class was registered for.
    filter_name: str = ""
    filter_family: str = ""

    def __init__(self, cfg: ToolConfig) -> None:
        self.config = cfg
        self.logger = logging.getLogger(f"ray_downloader.tools.{self.filter_name or type(self).__name__}")
        self.urls_path = cfg.get_folder("urls_folder")
        self.downloaded_images_path = cfg.get_folder("images_folder")
        self.tools_path = cfg.get_folder("tools_folder")
        self.total_workers = cfg.world_size

    @abstractmethod
    def run(self) -> None:
        """Do the step."""


T = TypeVar("T", bound=type[ToolsBase])


def register(family: Family, name: str) -> Callable[[T], T]:
    """Decorator that makes a class one step of the tool `name`.

    Raises:
        TypeError: The class is not a `ToolsBase`, or lacks a method that its base class requires.
        ValueError: The tool already has this step.
    """

    def enter(cls: T) -> T:
        if not (isinstance(cls, type) and issubclass(cls, ToolsBase)):
            raise TypeError(f"{cls.__name__} cannot be a {family}: it does not inherit from ToolsBase")
        if missing := cls.__abstractmethods__:
            raise TypeError(f"{cls.__name__} cannot be a {family}: it lacks the method {' and '.join(sorted(missing))}")
        steps = _FAMILIES.setdefault(name, {})
        known = steps.get(family)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"the tool {name!r} already has a {family}: {known.__qualname__}")
        steps[family] = cls
        cls.filter_name, cls.filter_family = name, family
        return cls

    return enter


def custom_tools() -> frozenset[str]:
    """Names of the registered three-class tools."""
    return frozenset(_FAMILIES)


def step_class(name: str, family: Family, default: type[ToolsBase]) -> type[ToolsBase]:
    """The class of a step, or the default if the tool has none of its own."""
    return _FAMILIES.get(name, {}).get(family, default)
