"""Assigners from outside of the package, named `module:function` (docs/assigners.md)."""

import dataclasses
import difflib
import importlib
import inspect
import os
import re
import sys
import typing
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from lad_jax.assign.base import Assigner
from lad_jax.config import from_config
from lad_jax.errors import InputError, place_of, reason_of

KEY = "config.assigner"


def is_outside(name: str) -> bool:
    """Whether a name is of the form `module:function`, the module perhaps with dots."""
    return re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", name) is not None


def outside_assigner(name: str, options: Mapping[str, Any]) -> Assigner:
    """The assigner that the function of a module makes. This imports the module, and so runs what is in it.

    Args:
      name: `module:function`; the module is looked for in the current folder, then as Python does.
      options: values for the dataclass that annotates the function's parameter.

    Raises:
      InputError: no such module or function, a module that the module imports is missing, options that do not fit, or
        something that is no assigner.
    """
    module_name, function = name.split(":")
    if module_name.endswith(".py"):
        raise InputError(f"{KEY}.name is {name!r}: leave out .py, as in '{module_name[:-3]}:{function}'.")
    module = _import(module_name, name)
    if not inspect.isfunction(getattr(module, function, None)):
        offered = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        guess = difflib.get_close_matches(function, offered, n=1)
        hint = f" Did you mean {guess[0]!r}?" if guess else ""
        raise InputError(f"{KEY}.name is {name!r}, but {module.__file__} has no function {function!r}.{hint}")
    return assigner_from(getattr(module, function), options)


def assigner_from(make: Callable[..., Any], options: Mapping[str, Any] | None = None) -> Assigner:
    """The assigner that a function makes.

    Args:
      make: a function without a parameter, or with one that is annotated with a dataclass.
      options: values for that dataclass; what is absent keeps its default.

    Raises:
      InputError: the parameter has no such annotation, a field of the dataclass has no default, options do not fit, or
        the function returns no assigner.
    """
    called = f"{make.__module__}:{make.__qualname__}"
    hints, parameters = typing.get_type_hints(make), list(inspect.signature(make).parameters)
    if parameters:
        kind = hints.get(parameters[0])
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise InputError(
                f"{called} needs a dataclass of its options to annotate its parameter {parameters[0]!r}, as in "
                f"`def {make.__name__}({parameters[0]}: MyOptions) -> Assigner`; or no parameter."
            )
        if bare := [field.name for field in dataclasses.fields(kind) if _has_no_default(field)]:
            raise InputError(f"{called}: {kind.__name__}.{bare[0]} has no default: give every field a default.")
        made = make(from_config(kind, options or {}, key=f"{KEY}.options"))
    elif options:
        raise InputError(f"{KEY}.options has {', '.join(options)}, but {called} takes no options.")
    else:
        made = make()
    if not isinstance(made, Assigner):
        raise InputError(
            f"{called} returned an object of type {type(made).__name__}, no assigner: return "
            "lad_jax.assign.Assigner(cost, partition)."
        )
    return made


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _import(module: str, name: str) -> ModuleType:
    """The module, which may lie in the current folder: a program that pip installed does not look there."""
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise _failed(module, name, error) from error
        raise InputError(
            f"{KEY}.name is {name!r}, but there is no module {error.name!r} in the current folder ({os.getcwd()}) or "
            "where Python looks: start in the folder of the module, or name that in PYTHONPATH."
        ) from None
    except ImportError as error:
        raise _failed(module, name, error) from error


def _failed(module: str, name: str, error: ImportError) -> InputError:
    """The error of a module that is there, but imports something that is not."""
    return InputError(
        f"{KEY}.name is {name!r}, but {module} cannot be imported. {reason_of(error)} ({place_of(error)})"
    )
