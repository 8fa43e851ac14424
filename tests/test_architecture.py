"""What must hold of the whole: who imports whom, how SQL is written, what may stand in the repository."""

import ast
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.stories import DELIVERY, INVENTORY
from servicekit.schema.migrations import Schema

ROOT = Path(__file__).parents[1]
SHIPPED = ("servicekit", "inventory_service", "delivery_service")
OURS = {*SHIPPED, "holdfast", "chaos", "devtools", "tests"}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def tracked() -> dict[str, str]:
    """The text of each file that git knows, by path."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = {}
    for name in listed.splitlines():
        path = ROOT / name
        if path.is_file():
            texts[name] = path.read_bytes().decode(errors="replace")
    return texts


def lint_imports(folder: Path) -> tuple[int, str]:
    tool = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([str(tool), "--no-cache"], cwd=folder, capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


def test_the_import_rules_are_kept() -> None:
    code, told = lint_imports(ROOT)

    assert code == 0, told


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("inventory_service/domain/stock.py", "import sqlalchemy", "Domain and application know no SQL"),
        (
            "inventory_service/application/adjust_stock.py",
            "import servicekit.persistence.engines",
            "Domain and application",
        ),
        ("delivery_service/domain/package.py", "import delivery_service.rpc", "The rooms of each service"),
        (
            "delivery_service/persistence/tables.py",
            "import delivery_service.gateways",
            "The rooms of each service",
        ),
        (
            "inventory_service/persistence/tables.py",
            "import grpc",
            "Persistence and workers know no contracts",
        ),
        ("delivery_service/rpc/servicer.py", "import inventory_service.domain", "The services know nothing"),
        ("servicekit/persistence/engines.py", "import asyncmy", "The kit knows no service and no driver"),
        ("servicekit/polling.py", "import devtools", "What ships never imports what does not"),
    ],
)
def test_a_breach_of_the_import_rules_is_found(tmp_path: Path, module: str, line: str, broken: str) -> None:
    for name in (*SHIPPED, "devtools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "protos/holdfast", tmp_path / "holdfast")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    breached = tmp_path / module
    breached.write_text(breached.read_text() + f"\n{line}\n")

    code, told = lint_imports(tmp_path)

    assert code != 0
    assert re.search(rf"^{broken}.* BROKEN", told, re.MULTILINE), told


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_revisions_import_nothing_of_ours() -> None:
    revisions = [path for path in sources("migrations") if path.parent.name == "versions"]

    assert len(revisions) >= 12
    for path in revisions:
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & (OURS | {""}), path.name


def test_revisions_count_up_without_a_gap() -> None:
    for service in ("delivery", "inventory"):
        names = sorted(path.name for path in (ROOT / "migrations" / service / "versions").glob("*.py"))
        assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]


def test_revisions_say_which_builds_may_go_on_beside_them() -> None:
    """From 0013 on: builds of the revisions before it do not ask."""
    for service in ("delivery", "inventory"):
        schema = Schema(service)
        ids = [revision.id for revision in schema.history() if revision.id >= "0013"]
        stated = [schema.serves_since(revision) for revision in ids]
        texts = [next(schema.location.glob(f"versions/{revision}_*.py")).read_text() for revision in ids]

        assert stated == sorted(stated), service
        assert all("\nserves_since = " in text for text in texts), service
        assert all("0001" <= since <= revision for since, revision in zip(stated, ids, strict=True)), service


def spliced(tree: ast.AST) -> list[int]:
    """The lines on which a value is put into the words of a SQL statement."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = ast.unparse(node.func)
        if not re.fullmatch(r"((sa|sqlalchemy)\.)?(text|literal_column)|.*\.exec_driver_sql", called):
            continue
        words = node.args[0]
        formatted = isinstance(words, ast.Call) and getattr(words.func, "attr", "") in (
            "format",
            "join",
            "replace",
        )
        if isinstance(words, ast.JoinedStr | ast.BinOp) or formatted:
            found.append(node.lineno)
    return found


def test_no_value_is_spliced_into_sql() -> None:
    for path in sources(*SHIPPED):
        assert spliced(ast.parse(path.read_text())) == [], path


@pytest.mark.parametrize(
    "statement",
    [
        'text(f"SELECT * FROM stock WHERE sku = {sku}")',
        'sa.text("SELECT * FROM stock WHERE sku = %s" % sku)',
        'sqlalchemy.text("SELECT * FROM stock WHERE sku = " + sku)',
        'text("SELECT * FROM stock WHERE sku = {}".format(sku))',
        'connection.exec_driver_sql(f"DELETE FROM {table}")',
    ],
)
def test_a_spliced_statement_is_found(statement: str) -> None:
    assert spliced(ast.parse(statement)) == [1]


def test_a_bound_statement_is_let_pass() -> None:
    assert spliced(ast.parse('text("SELECT * FROM stock WHERE sku = :sku").bindparams(sku=sku)')) == []


def crash_points() -> dict[str, set[str]]:
    """The functions in which each crash point stands."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sources(*SHIPPED):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                for name in named_points(node):
                    found[name].add(f"{path.relative_to(ROOT)}:{function.name}")
    return found


def named_points(node: ast.AST) -> list[str]:
    """The crash points of a call: its own, or those around the commit of a transaction that it names."""
    if not isinstance(node, ast.Call):
        return []
    if getattr(node.func, "id", "") == "crash_point":
        return [str(name.value) for name in node.args if isinstance(name, ast.Constant)]
    if getattr(node.func, "attr", "") not in ("run", "_change"):
        return []
    named = [each.value for each in node.keywords if each.arg == "name"]
    return [
        f"{name.value!s}.{when}_commit"
        for name in named
        if isinstance(name, ast.Constant)
        for when in ("before", "after")
    ]


def test_a_crash_point_names_one_place_of_a_service() -> None:
    points = crash_points()

    assert len(points) >= 15
    for name, places in points.items():
        # A function within a function is one place; a process is of one service.
        files = {place.split(":")[0] for place in places}
        assert len({file.split("/")[0] for file in files}) == len(files), (name, places)
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", name), name


def test_every_crash_point_is_died_at_by_a_test() -> None:
    died_at = {point for points, _ in (*DELIVERY, *INVENTORY) for point in points.split()}
    told = "".join(path.read_text() for path in sources("tests"))

    assert [name for name in crash_points() if name not in died_at and name not in told] == []


def test_every_requirement_is_pinned_with_hashes_and_names_no_place() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))

    assert len(locks) >= 2
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text and "--index-url" not in text and " @ " not in text, lock.name
        for requirement in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
            assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==", requirement), requirement[:80]
            assert "--hash=sha256:" in requirement, requirement[:80]


FOREIGN = {
    # Documents may link to pages; everything else reaches for what the machine is configured for.
    "a host outside": r"https?://(?!127\.0\.0\.1|localhost|[\w.-]+\.(?:invalid|example)\b|[{$])",
    "a path of one machine": r"(?<![\w.])/(?:root|home|work|Users)/[\w.]",
    "a trusted unsigned source": r"trusted\s*=\s*yes",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_the_repository_names_no_place_outside(what: str) -> None:
    pattern = re.compile(FOREIGN[what])

    named = {
        name
        for name, text in tracked().items()
        if name != "tests/test_architecture.py" and pattern.search(text)
    }
    assert named == set()


def test_nothing_private_or_built_is_tracked() -> None:
    forbidden = re.compile(
        r"(^|/)(\.venv|\.local|\.cache|dist|__pycache__)/|\.(pyc|log|pem|key|sock|pid)$|(^|/)uv\.lock$"
    )

    assert [name for name in tracked() if forbidden.search(name)] == []


def test_what_ships_sends_core_statements_and_no_orm() -> None:
    using = [
        path
        for path in sources(*SHIPPED, "migrations")
        if re.search(r"sqlalchemy.*\b(orm|AsyncSession)\b", path.read_text())
    ]

    assert using == []
