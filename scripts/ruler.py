"""Hold the tree to its bar: file and function sizes, import cycles, broad excepts, test share.

Median file <= 150 lines, none above 400; median function <= 8 lines without its docstring, none
above 60; at most one broad except per 1,000 lines, each with its reason on the same line or above.
"""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path

SOURCE, TESTS = Path("src/slimdown"), Path("tests")
FILE_MEDIAN, FILE_MAX = 150, 400
FUNCTION_MEDIAN, FUNCTION_P90, FUNCTION_MAX = 8, 30, 60
BROAD_PER_1000 = 1.0
TEST_SHARE = 0.45

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    texts = {path: path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    complaints = [*file_sizes(texts), *function_sizes(trees), *broad_excepts(texts, trees)]
    complaints += [*cycles(trees), *test_share(texts)]
    for complaint in complaints:
        print(f"ruler: {complaint}")
    return 1 if complaints else 0


def file_sizes(texts: dict[Path, str]) -> list[str]:
    sizes = {path: text.count("\n") for path, text in texts.items()}
    real = [n for path, n in sizes.items() if path.name != "__init__.py" or n >= 15]
    median = statistics.median(real)
    print(f"ruler: {len(sizes)} files, {sum(sizes.values())} lines, median {median:.0f}")
    found = [f"{p} has {n} lines, more than {FILE_MAX}" for p, n in sizes.items() if n > FILE_MAX]
    if median > FILE_MEDIAN:
        found.append(f"the median file has {median:.0f} lines, more than {FILE_MEDIAN}")
    return found


def function_sizes(trees: dict[Path, ast.Module]) -> list[str]:
    sizes: dict[str, int] = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                sizes[f"{path}:{node.lineno} {node.name}"] = body_lines(node)
    ordered = sorted(sizes.values())
    median, p90 = statistics.median(ordered), ordered[int(0.9 * len(ordered))]
    print(f"ruler: {len(ordered)} functions, median {median:.0f}, p90 {p90}, max {ordered[-1]}")
    found = [f"{name} has {n} lines" for name, n in sizes.items() if n > FUNCTION_MAX]
    if median > FUNCTION_MEDIAN:
        found.append(f"the median function has {median:.0f} lines, more than {FUNCTION_MEDIAN}")
    if p90 > FUNCTION_P90:
        found.append(f"a tenth of the functions has over {p90} lines, more than {FUNCTION_P90}")
    return found


def body_lines(node: Function) -> int:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def broad_excepts(texts: dict[Path, str], trees: dict[Path, ast.Module]) -> list[str]:
    found, count = [], 0
    for path, tree in trees.items():
        lines = texts[path].splitlines()
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and is_broad(node):
                count += 1
                near = lines[node.lineno - 2 : node.lineno]
                if not any("#" in line for line in near):
                    found.append(f"{path}:{node.lineno} broad except without its reason")
    total = sum(text.count("\n") for text in texts.values())
    if count * 1000 > BROAD_PER_1000 * total:
        found.append(f"{count} broad excepts in {total} lines")
    return found


def is_broad(node: ast.ExceptHandler) -> bool:
    return node.type is None or any(
        isinstance(n, ast.Name) and n.id in ("Exception", "BaseException")
        for n in ast.walk(node.type)
    )


def cycles(trees: dict[Path, ast.Module]) -> list[str]:
    names = {path: module_name(path) for path in trees}
    known = set(names.values())
    graph = {
        names[path]: imported(tree, known) & known - {names[path]} for path, tree in trees.items()
    }
    left = dict(graph)
    while True:
        free = {name for name, needs in left.items() if not needs & left.keys()}
        if not free:
            break
        left = {name: needs for name, needs in left.items() if name not in free}
    return [f"import cycle among {', '.join(sorted(left))}"] if left else []


def module_name(path: Path) -> str:
    parts = path.relative_to("src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.Module, known: set[str]) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            # Importing a module from its package does not depend on the rest of the package.
            found |= names & known or {node.module}
    return found


def test_share(texts: dict[Path, str]) -> list[str]:
    source = sum(text.count("\n") for text in texts.values())
    tests = sum(path.read_text().count("\n") for path in TESTS.rglob("*.py"))
    share = tests / (source + tests)
    print(f"ruler: tests are {share:.0%} of the lines")
    return [f"tests are only {share:.0%} of the lines"] if share < TEST_SHARE else []


if __name__ == "__main__":
    sys.exit(main())
