"""Which mutants are drawn, and what concerns a module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.mutants.__main__ import CHECKOUT, equivalents
from benchmarks.mutants.mutations import mutants_of
from benchmarks.mutants.report import Judged, Row, entries, measured, rows_of
from benchmarks.mutants.targets import MOST_OTHERS, Tree, name_of


def changes(source: str) -> set[str]:
    return {change.description for change in mutants_of(source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {"a < b -> a <= b", "a < b -> a >= b"}),
        ("x = a + b", {"a + b -> a - b"}),
        ("x = a and b", {"a and b -> a or b", "a and b -> a", "a and b -> b"}),
        ("x = not a", {"not a -> a"}),
        ("x = 5", {"5 -> 6", "5 -> 4", "5 -> 10"}),
        ("x = True", {"True -> False"}),
        ("x = b if a else c", {"b if a else c -> c if a else b"}),
        ("x = min(a, b)", {"min(a, b) -> max(a, b)"}),
        ("x = f(a, b)", {"f(a, b) -> f(b, a)"}),
        ("f(a)", {"remove: f(a)"}),
        ("raise Oops('a', 1)", {"remove: raise Oops('a', 1)", "Oops('a', 1) -> Oops(1, 'a')"} | {"1 -> 2", "1 -> 0"}),
        ("a.b = c", {"remove: a.b = c"}),
        ("if a: b()", {"if a -> if not a", "remove: b()"}),
        ("def f() -> bool:\n    return a", {"return a -> return not a"}),
        ("def f() -> int:\n    return a", {"return a -> return a + 1"}),
        ("def f() -> str:\n    return a", {"return a -> return ''"}),
        ("def f() -> None:\n    return", {"remove: return"}),
        ("@known('a')\ndef f():\n    a.b = c", {"remove: @known('a')", "remove: a.b = c"}),
        ("for a in b:\n    break", {"break -> continue"}),
    ],
)
def test_each_kind_of_change_is_made(source: str, expected: set[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""1 < 2"""',
        "x: Literal[5]",
        "Alias = A | B",
        "assert a < b",
        "_log.info('%d', a + 1)",
        "raise OopsError('too many: %d' % (a + 1))".replace("raise ", "x = "),
        "def __repr__(self):\n    return a + 1",
        "@dataclass(frozen=True)\nclass A:\n    x: int",
        "__slots__ = ('a', f(1))",
        "class A(Protocol):\n    x = 1",
        "x = f'{a + 1}'",
        "x = zip(strict=True)",
    ],
)
def test_what_has_no_behaviour_is_left_alone(source: str) -> None:
    assert changes(source) == set()


def test_a_mutant_is_the_module_with_one_change_and_the_next_one_with_another() -> None:
    first, second, *_ = (change.mutant() for change in mutants_of("class A:\n    def f(self):\n        g(self.x > 1)"))
    assert first.function == second.function == "A.f"
    assert ast.unparse(ast.parse(first.source)) == "class A:\n\n    def f(self):\n        pass"
    assert "self.x >= 1" in second.source
    assert first.diff.splitlines()[-1] == "+        pass"


def test_equal_changes_of_one_function_have_names_of_their_own() -> None:
    names = [change.description for change in mutants_of("def f():\n    g(a)\n    g(a)")]
    assert names == ["remove: g(a)", "remove: g(a) (#2)"]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    files = {
        "ray_downloader/__init__.py": "",
        "ray_downloader/fetch/__init__.py": "from ray_downloader.fetch.low import f",
        "ray_downloader/fetch/low.py": "f = 1",
        "ray_downloader/fetch/high.py": "from ray_downloader.fetch.low import f",
        "ray_downloader/errors.py": "",
        "tests/unit/fetch/test_low.py": "import ray_downloader.errors\nfrom ray_downloader.fetch import f",
        "tests/unit/fetch/test_other.py": "from tests.unit.fetch import helper",
        "tests/unit/fetch/helper.py": "from ray_downloader.fetch.high import f",
        "tests/unit/test_errors.py": "from ray_downloader import errors",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return Tree(tmp_path)


def test_modules_are_those_of_the_rooms(tree: Tree) -> None:
    assert tree.modules(("fetch", "errors", "nowhere")) == [
        "ray_downloader/fetch/__init__.py",
        "ray_downloader/fetch/high.py",
        "ray_downloader/fetch/low.py",
        "ray_downloader/errors.py",
    ]


def test_a_modules_own_tests_come_first_and_those_that_reach_it_by_helpers_next(tree: Tree) -> None:
    assert tree.tests_of("ray_downloader/fetch/low.py") == [
        ["tests/unit/fetch/test_low.py"],
        ["tests/unit/fetch/test_other.py"],
    ]
    assert tree.tests_of("ray_downloader/fetch/high.py") == [["tests/unit/fetch/test_other.py"]]


def test_where_many_tests_reach_a_module_that_of_constants_is_one_of_those_that_are_run(tree: Tree) -> None:
    content = "from ray_downloader.fetch import high\n"
    for name in ("test_constants.py", *(f"fetch/test_{number:02d}.py" for number in range(MOST_OTHERS + 3))):
        (tree.root / "tests" / "unit" / name).write_text(content)
    ((first, *others),) = tree.tests_of("ray_downloader/fetch/high.py")
    assert (first, len(others)) == ("tests/unit/test_constants.py", MOST_OTHERS - 1)
    assert others[0] == "tests/unit/fetch/test_00.py"


def test_only_what_does_not_depend_on_the_module_is_imported_before(tree: Tree) -> None:
    tests = ["tests/unit/fetch/test_low.py", "tests/unit/fetch/test_other.py"]
    assert tree.independent_of("ray_downloader/fetch/low.py", tests) == ["ray_downloader", "ray_downloader.errors"]


def test_a_file_is_a_module() -> None:
    assert name_of("ray_downloader/fetch/__init__.py") == "ray_downloader.fetch"
    assert name_of("ray_downloader/fetch/curl.py") == "ray_downloader.fetch.curl"


def test_the_share_is_of_what_can_be_killed() -> None:
    verdicts = ["killed"] * 9 + ["survived"] + ["equivalent"] * 5
    judged = [Judged("a.py", "f", str(n), 1, verdict, 0.0, "") for n, verdict in enumerate(verdicts)]
    row, total = rows_of(judged)
    assert (row, row.share) == (Row("a.py", 15, 9, 1, 5), 0.9)
    assert total.name == "**all**"
    assert Row("empty.py", 0, 0, 0, 0).share == 1.0


def test_the_latest_state_of_each_module_is_kept_and_shown() -> None:
    def judged(module: str, *verdicts: str) -> list[Judged]:
        return [Judged(module, "f", f"{n} -> 0", n, verdict, 0.5, "-a\n+b") for n, verdict in enumerate(verdicts)]

    first, second = "ray_downloader/fetch/a.py", "ray_downloader/fetch/b.py"
    kept = entries([*judged(second, "killed"), *judged(first, "killed", "survived", "equivalent")], 7)
    assert kept[first] == {
        "seed": 7, "mutants": 3, "killed": 1, "survived": 1, "equivalent": 1,
        "survivors": [{"line": 1, "function": "f", "description": "1 -> 0"}],
    }  # fmt: skip
    kept |= entries(judged(second, "killed", "killed"), 8)
    shown = measured(kept).splitlines()
    assert "| fetch (2 modules) | 5 | 3 | 1 | 1 | 75% |" in shown
    assert "| **all** (2 modules) | 5 | 3 | 1 | 1 | 75% |" in shown
    assert shown[-2:] == ["| fetch/a.py | 3 | 1 | 1 | 1 | 50% | 7 |", "| fetch/b.py | 2 | 2 | 0 | 0 | 100% | 8 |"]


def test_mutants_that_are_known_to_change_nothing_are_mutants_of_the_code_as_it_is() -> None:
    known = equivalents()
    made = {
        (module, change.function, change.description)
        for module in {module for module, _, _ in known}
        for change in mutants_of((CHECKOUT / module).read_text("utf-8"))
    }
    assert known <= made, f"the code has changed: {sorted(known - made)}"
