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
      InputError: `make` is no function or needs further arguments, the parameter has no such annotation, a field of the
        dataclass has no default, options do not fit, or the function returns no assigner.
    """
    if not (inspect.isfunction(make) or inspect.ismethod(make)):
        raise InputError(
            f"an object of type {type(make).__name__} is neither a function that makes an assigner nor an assigner: "
            "wrap what is called in a function, as in `lambda: make(near=40)`, or hand over the Assigner itself."
        )
    called = f"{make.__module__}:{make.__qualname__}"
    if inspect.signature(make).parameters:
        made = make(from_config(_kind_of_options(make, called), options or {}, key=f"{KEY}.options"))
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


def _kind_of_options(make: Callable[..., Any], called: str) -> Any:
    """The dataclass that annotates the only parameter that a function needs."""
    signature = inspect.signature(make)
    name = next(iter(signature.parameters))
    kind = _hints(make, called).get(name)
    form = f"`def {make.__name__}({name}: MyOptions) -> Assigner`"
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise InputError(
            f"{called} needs a dataclass of its options to annotate its parameter {name!r}, as in {form}; or no "
            "parameter."
        )
    try:
        signature.bind(kind)
    except TypeError as error:
        raise InputError(
            f"{called} is called with its options alone, which its parameters do not allow ({error}): write it as "
            f"{form}, with defaults for whatever follows."
        ) from None
    if bare := [field.name for field in dataclasses.fields(kind) if _has_no_default(field)]:
        raise InputError(f"{called}: {kind.__name__}.{bare[0]} has no default: give every field a default.")
    _hints(kind, f"{called}: {kind.__name__}")
    return kind


def _hints(annotated: Any, called: str) -> dict[str, Any]:
    """The annotations of a function or class, whose names are looked up."""
    try:
        return typing.get_type_hints(annotated)
    except Exception as error:  # annotations may be any expressions
        raise InputError(
            f"{called} has an annotation that means nothing when it is read ({reason_of(error)}): define or import "
            "what it names at the top of its module, and not under `if TYPE_CHECKING`."
        ) from None


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
