"""Run the code blocks of a page from top to bottom, and print what they say beside what they give.

    python benchmarks/pages.py docs/guide.rst --seed 1

Every ``random_state=0`` of the page becomes that of the seed: figures in a page hold over seeds,
or are said with their spread.
"""

import argparse
import ast
import re
import warnings
from pathlib import Path

import matplotlib


def read_blocks(text):
    """Line number and code of each block that is Python."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"\.\. (plot|code-block:: py)", line)]
    for start in starts:
        block = []
        for line in lines[start + 1 :]:
            if line and not line.startswith("   "):
                break
            block.append("" if line.startswith("   :") else line[3:])
        yield start + 1, "\n".join(block)


def run_block(line, code, names):
    """Run its statements one by one; print the values of those with a comment beside them."""
    for node in ast.parse(code).body:
        comment = code.splitlines()[node.end_lineno - 1].partition("  #")[2].strip()
        if isinstance(node, ast.Expr):
            value = eval(compile(ast.Expression(node.value), f"line {line}", "eval"), names)
            if comment:
                print(f"line {line}: {ast.unparse(node)}\n    said: {comment}\n    gave: {value}")
        else:
            exec(compile(ast.Module([node], []), f"line {line}", "exec"), names)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    matplotlib.use("Agg")
    warnings.simplefilter("ignore")
    names = {}
    for line, code in read_blocks(options.page.read_text()):
        run_block(line, code.replace("random_state=0", f"random_state={options.seed}"), names)


if __name__ == "__main__":
    main()
