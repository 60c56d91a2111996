"""All mutants of one module's source: small changes, each of which some test should notice. Pure.

Not changed: what has no behaviour to test (docstrings, annotations, type aliases, `assert`, dataclass options,
`__slots__`) and what people read (log calls, `__repr__`, the wording of errors). A mutant is named by its function and
by the expression before and after, so its name stays the same while other code moves.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import unified_diff

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}
LOGGERS = {"log", "logger", "logging", "LOG", "_log", "_logger", "_LOG", "warnings"}
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "warn", "log"}
#: Decorators whose loss either breaks every use at once or changes only the speed.
KEPT_DECORATORS = {
    "dataclass", "property", "classmethod", "staticmethod", "abstractmethod", "overload", "cache", "lru_cache",
    "cached_property", "setter", "override", "runtime_checkable", "final",
}  # fmt: skip
#: Calls in which a swap of the arguments is an error of types or changes nothing.
UNSWAPPED = {"isinstance", "issubclass", "getattr", "cast", "min", "max", "setattr", "hasattr", "field"}
READ_BY_PEOPLE = {"__repr__", "__str__", "__rich__"}
#: Values of a type that a function can return instead.
EMPTY = {"str": "''", "bytes": "b''", "list": "[]", "Sequence": "[]", "tuple": "()", "dict": "{}", "Mapping": "{}"}
DESCRIBED_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a module.

    Args:
        function: Qualified name of the function or class around it; `<module>` at the top.
        description: What becomes what; with the function it names the mutant within its file.
        line: Where it is.
        source: The whole module, changed.
        diff: The change, as lines of a unified diff.
    """

    function: str
    description: str
    line: int
    source: str
    diff: str


def mutants_of(source: str) -> list[Change]:
    """All changes of the source, in its order; `Change.mutant()` spells one out."""
    tree = ast.parse(source)
    changes: list[Change] = []
    names: Counter[tuple[str, str]] = Counter()
    original = ast.unparse(tree)
    for slot, replacement, description in _Walk().module(tree):
        names[slot.function, description] += 1
        number = names[slot.function, description]
        unique = description if number == 1 else f"{description} (#{number})"
        changes.append(Change(tree, original, slot, replacement, unique))
    return changes


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the tree that can hold another node.

    Args:
        function: Qualified name of what is around it.
        line: Its line.
        put: Puts a node there.
        node: What is there.
    """

    function: str
    line: int
    put: Callable[[ast.AST], None]
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Change:
    """A mutant that is not spelled out yet: most are never drawn."""

    tree: ast.Module
    original: str
    slot: Slot
    replacement: ast.AST
    description: str

    @property
    def function(self) -> str:
        """Qualified name of the function or class around it."""
        return self.slot.function

    def mutant(self) -> Mutant:
        """The whole module with this change."""
        self.slot.put(self.replacement)
        try:
            source = ast.unparse(ast.fix_missing_locations(self.tree))
        finally:
            self.slot.put(self.slot.node)
        lines = unified_diff(self.original.splitlines(), source.splitlines(), lineterm="", n=1)
        diff = "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))
        return Mutant(self.slot.function, self.description, self.slot.line, source, diff)


_Found = Iterator[tuple[Slot, ast.AST, str]]


class _Walk:
    """Goes through a module and yields every place with each of its replacements."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._returns: list[str] = []

    def module(self, tree: ast.Module) -> _Found:
        yield from self._statements(tree.body)

    # Statements

    def _statements(self, body: list[ast.stmt]) -> _Found:
        for index, statement in enumerate(body):
            if not _is_skipped(statement, at_top=not self._names):
                yield from self._statement(self._slot_in(body, index))

    def _slot_in(self, items: list, index: int) -> Slot:  # type: ignore[type-arg]  # of any kind of node
        def put(node: ast.AST) -> None:
            items[index] = node

        return Slot(".".join(self._names) or "<module>", items[index].lineno, put, items[index])

    def _slot_of(self, parent: ast.AST, name: str) -> Slot:
        node = getattr(parent, name)
        line = getattr(node, "lineno", getattr(parent, "lineno", 0))
        return Slot(".".join(self._names) or "<module>", line, lambda new: setattr(parent, name, new), node)

    def _statement(self, slot: Slot) -> _Found:
        node = slot.node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from self._function(node)
        elif isinstance(node, ast.ClassDef):
            self._names.append(node.name)
            yield from self._decorators(node)
            yield from self._statements(node.body)
            self._names.pop()
        else:
            yield from self._removal(slot)
            yield from self._parts(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> _Found:
        if node.name in READ_BY_PEOPLE or _is_declared_only(node):
            return
        self._names.append(node.name)
        self._returns.append(ast.unparse(node.returns) if node.returns else "")
        yield from self._decorators(node)
        for index in range(len(node.args.defaults)):
            yield from self._expression(self._slot_in(node.args.defaults, index))
        for index, default in enumerate(node.args.kw_defaults):
            if default is not None:
                yield from self._expression(self._slot_in(node.args.kw_defaults, index))
        yield from self._statements(node.body)
        self._returns.pop()
        self._names.pop()

    def _decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> _Found:
        for decorator in node.decorator_list:
            if _last_name(decorator) not in KEPT_DECORATORS:
                slot = self._slot_of(node, "decorator_list")
                rest = [other for other in node.decorator_list if other is not decorator]
                yield slot, rest, f"remove: @{_short(decorator)}"  # type: ignore[misc]  # a list where nodes are

    def _removal(self, slot: Slot) -> _Found:
        node = slot.node
        if isinstance(node, ast.Return):
            yield from self._returned(slot, node)
        elif isinstance(node, ast.Break):
            yield slot, ast.Continue(), "break -> continue"
        elif _is_removable(node):
            yield slot, ast.Pass(), f"remove: {_short(node)}"
        elif isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
            yield slot, ast.Pass(), f"remove: {_short(node)}"
            other = ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
            yield slot, other, _becomes(node, other)

    def _returned(self, slot: Slot, node: ast.Return) -> _Found:
        if node.value is None:
            yield slot, ast.Pass(), "remove: return"
            return
        other = _other_return(self._returns[-1] if self._returns else "", node.value)
        if other is not None and ast.unparse(other) != ast.unparse(node.value):
            replaced = ast.Return(other)
            yield slot, replaced, _becomes(node, replaced)

    # Expressions

    def _parts(self, node: ast.AST) -> _Found:
        """The mutants of what a node holds."""
        for name, value in ast.iter_fields(node):
            if isinstance(node, ast.keyword) and node.arg == "strict":
                continue  # of `zip`: an assertion
            if name in {"annotation", "returns", "type_comment", "type_params", "format_spec", "type"}:
                continue  # `type` of an except clause: a class, not an expression that is computed
            if isinstance(value, list):
                yield from self._items(value, are_conditions=name == "ifs")
            elif isinstance(value, ast.expr):
                if (
                    name == "slice"
                    and isinstance(value, ast.Constant)
                    and value.value == 0
                    and value.value is not False
                ):
                    # The last of one is the first, and most that is indexed so has one.
                    yield (slot := self._slot_of(node, name)), (other := ast.Constant(1)), _becomes(slot.node, other)
                    continue
                if name == "test" and not isinstance(node, ast.IfExp):  # whose branches are swapped
                    yield from self._condition(self._slot_of(node, name))
                yield from self._expression(self._slot_of(node, name))
            elif isinstance(value, ast.AST):
                yield from self._parts(value)

    def _items(self, items: list[ast.AST], *, are_conditions: bool) -> _Found:
        if items and isinstance(items[0], ast.stmt):
            yield from self._statements(items)  # type: ignore[arg-type]  # all are statements, as the first
            return
        for index, item in enumerate(items):
            if isinstance(item, ast.expr):
                if are_conditions:
                    yield from self._condition(self._slot_in(items, index))
                yield from self._expression(self._slot_in(items, index))
            elif isinstance(item, ast.AST):
                yield from self._parts(item)

    def _expression(self, slot: Slot) -> _Found:
        node = slot.node
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Call) and _is_wording(node)):
            return
        for other in _others(node):
            yield slot, other, _becomes(node, other)
        if isinstance(node, ast.Lambda):
            yield from self._expression(self._slot_of(node, "body"))
        else:
            yield from self._parts(node)

    def _condition(self, slot: Slot) -> _Found:
        """A condition that is not a comparison, which has its own opposite."""
        if isinstance(slot.node, ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.NamedExpr):
            other = ast.UnaryOp(ast.Not(), slot.node)
            yield slot, other, f"if {_short(slot.node)} -> if {_short(other)}"


def _others(node: ast.AST) -> Iterator[ast.expr]:
    """What an expression can become."""
    if isinstance(node, ast.Compare):
        yield from _other_comparisons(node)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not _is_text(node):
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
        if isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for index in range(len(node.values)):
            rest = [value for number, value in enumerate(node.values) if number != index]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node.value)
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)


def _other_comparisons(node: ast.Compare) -> Iterator[ast.Compare]:
    for index, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            yield ast.Compare(node.left, [*node.ops[:index], other(), *node.ops[index + 1 :]], node.comparators)


def _other_constants(value: object) -> Iterator[ast.Constant]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        less = value - 1 if isinstance(value, int) else value / 2
        yield from (ast.Constant(other) for other in dict.fromkeys((value + 1, less, value * 2)) if other != value)


def _other_calls(node: ast.Call) -> Iterator[ast.expr]:
    name = _last_name(node.func)
    if isinstance(node.func, ast.Name) and name in OPPOSITES:
        yield ast.Call(ast.Name(OPPOSITES[name]), node.args, node.keywords)
    plain = not any(isinstance(argument, ast.Starred) for argument in node.args)
    if len(node.args) > 1 and plain and name not in UNSWAPPED:
        first, second, *rest = node.args
        if ast.unparse(first) != ast.unparse(second):
            yield ast.Call(node.func, [second, first, *rest], node.keywords)


def _other_return(annotation: str, value: ast.expr) -> ast.expr | None:
    """Another value of the type that the function promises, where that is known; a constant is changed anyway."""
    if annotation in {"bool", "int", "float"}:
        changed = (
            ast.UnaryOp(ast.Not(), value) if annotation == "bool" else ast.BinOp(value, ast.Add(), ast.Constant(1))
        )
        return None if isinstance(value, ast.Constant) else changed
    kind = annotation.partition("[")[0]
    return ast.parse(EMPTY.get(kind, "None"), mode="eval").body


def _is_skipped(statement: ast.stmt, *, at_top: bool) -> bool:
    if isinstance(statement, ast.If):
        return "TYPE_CHECKING" in ast.unparse(statement.test)
    if isinstance(statement, ast.ClassDef):
        return any(_last_name(base) == "Protocol" for base in statement.bases)
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant) or _is_log_call(statement.value)
    if isinstance(statement, ast.Assign):
        is_list_of_names = any(_last_name(target) in {"__slots__", "__all__"} for target in statement.targets)
        return is_list_of_names or (at_top and _is_type_alias(statement.value))
    return isinstance(statement, ast.Assert | ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.Pass)


def _is_type_alias(value: ast.expr) -> bool:
    """`A | B`, `Callable[..., C]`, `TypeVar(...)` at the top of a module."""
    if isinstance(value, ast.BinOp):
        return isinstance(value.op, ast.BitOr) and not isinstance(value.right, ast.Constant | ast.Call)
    if isinstance(value, ast.Subscript):
        return isinstance(value.value, ast.Name) and value.value.id[:1].isupper()
    return isinstance(value, ast.Call) and _last_name(value.func) in {"TypeVar", "ParamSpec", "NewType", "getLogger"}


def _is_declared_only(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """No body beside the docstring, as of an abstract method."""
    return all(isinstance(part, ast.Pass) or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
               for part in node.body)  # fmt: skip


def _is_removable(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call | ast.Yield | ast.YieldFrom | ast.Await)
    if isinstance(node, ast.Assign):  # of a name, its loss is a NameError at once
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    return isinstance(node, ast.Raise | ast.Continue | ast.Delete)


def _is_log_call(node: ast.expr) -> bool:
    function = node.func if isinstance(node, ast.Call) else None
    if not isinstance(function, ast.Attribute) or function.attr not in LOG_METHODS:
        return False
    return _last_name(function.value) in LOGGERS or _last_name(function.value) == "getLogger"


def _is_wording(node: ast.Call) -> bool:
    """A call that makes an error or a warning: what it says is not tested."""
    return _last_name(node.func).endswith(("Error", "Exception", "Warning")) or _is_log_call(node)


def _is_text(node: ast.BinOp) -> bool:
    """Joining of text, or a type: other operators on them fail at once."""
    for side in (node.left, node.right):
        if isinstance(side, ast.JoinedStr) or (
            isinstance(side, ast.Constant) and not isinstance(side.value, int | float)
        ):
            return True
    return False


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
    return text if len(text) <= DESCRIBED_LENGTH else text[: DESCRIBED_LENGTH - 1] + "…"


def _becomes(node: ast.AST, other: ast.AST) -> str:
    return f"{_short(node)} -> {_short(other)}"
