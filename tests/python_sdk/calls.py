"""Which functions of the published client ran: the interpreter notes it, and the client stays as it was."""

import importlib
import inspect
import pkgutil
import sys
import threading

import sentinel_auth


class Calls:
    """The names of the client's functions that were called in this process since `record`."""

    def __init__(self):
        self.seen = set()

    def record(self):
        """Begins to note the calls of this thread and of all later ones."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def stop(self):
        """Ends that, for this thread."""
        sys.setprofile(None)

    def _note(self, frame, event, _argument):
        if event == "call":
            module = frame.f_globals.get("__name__", "")
            if module.startswith("sentinel_auth."):
                self.seen.add(f"{module}.{frame.f_code.co_qualname}")


def public_functions():
    """The names of all functions, methods and properties that the client offers."""
    names = set()
    for found in pkgutil.iter_modules(sentinel_auth.__path__, "sentinel_auth."):
        module = importlib.import_module(found.name)
        if found.name.rpartition(".")[2].startswith("_"):
            continue
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value):
                names.add(f"{module.__name__}.{value.__qualname__}")
            elif inspect.isclass(value):
                names.update(f"{module.__name__}.{name}.{method}" for method in _public_methods(value))
    return names


def _public_methods(of):
    for name, value in vars(of).items():
        plain = getattr(value, "__func__", value)
        if not name.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property)):
            yield name
