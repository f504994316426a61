"""Run the code blocks of pages from top to bottom, and print what they say beside what they give.

    python benchmarks/pages.py docs/anomalies.rst --seed 1
    python benchmarks/pages.py --fast docs/*.rst README.md

Every ``random_state=0`` of a page becomes that of the seed: figures in a page hold over seeds,
or are said with their spread. ``--fast`` trains hastily, and says only what fails: a block that
does not run, or a shape that is another than the page says. Several pages run in processes of
their own, each in an empty folder. A block with a caption is a script, for two processes; a block
of a package that is not installed is left out, and named.
"""

import argparse
import ast
import contextlib
import importlib
import inspect
import os
import re
import subprocess
import sys
import tempfile
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib

import skcae

RST, MARKDOWN = r"\.\. code-block:: py", r"```python"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
# Defaults of `--fast`: one epoch of large batches, and a score that needs no density.
FAST = {"max_epochs": 1, "batch_size": 512, "anomaly_score": "loss"}


def read_blocks(path):
    """Line number, caption or None, and code of each block that is Python."""
    lines, markdown = path.read_text().splitlines(), path.suffix == ".md"
    for start, line in enumerate(lines, start=1):
        if re.match(MARKDOWN if markdown else RST, line):
            yield start, *_read_block(lines[start:], markdown)


def _read_block(lines, markdown):
    caption, block = None, []
    for line in lines:
        if line.startswith("```") if markdown else line and not line.startswith("   "):
            break
        option = re.match(r"   :caption: (.*)", line)
        caption = option[1] if option else caption
        block.append("" if option else line if markdown else line[3:])
    return caption, "\n".join(block)


def missing(code):
    """Packages that it imports and that are not installed."""
    for node in ast.walk(ast.parse(code)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(name)  # which may itself need what is not installed
                continue
            yield name


def run_block(line, code, names, fast):
    """Run its statements one by one; compare the values of those with a comment beside them."""
    for node in ast.parse(code).body:
        comment = code.splitlines()[node.end_lineno - 1].partition("  #")[2].strip()
        if isinstance(node, ast.Expr):
            value = eval(compile(ast.Expression(node.value), f"line {line}", "eval"), names)
            if comment and fast:
                check_shape(ast.unparse(node), comment, value)
            elif comment:
                print(f"line {line}: {ast.unparse(node)}\n    said: {comment}\n    gave: {value}")
        else:
            exec(compile(ast.Module([node], []), f"line {line}", "exec"), names)


def check_shape(expression, comment, value):
    said = re.match(r"\([\d, ]+\)", comment)
    if said and ast.literal_eval(said[0]) != value:
        raise AssertionError(f"{expression} gave {value}, and the page says {comment}.")


def run_page(path, seed, fast):
    """Its blocks, one after the other."""
    matplotlib.use("Agg")
    warnings.simplefilter("ignore")
    module = sys.modules["__main__"] = types.ModuleType("__main__")  # which pickles look into
    for line, caption, code in read_blocks(path):
        code = code.replace("random_state=0", f"random_state={seed}")
        if fast:
            code = re.sub(r"max_epochs=\d+", "max_epochs=1", code)
        if packages := list(missing(code)):
            print(f"{path.name}:{line} needs {', '.join(packages)}: left out", file=sys.stderr)
        elif caption:
            Path(caption).write_text(code)
            subprocess.run([*TORCHRUN, caption], check=True, capture_output=fast)
        else:
            run_block(line, code, vars(module), fast)


def hurry():
    for name in skcae.__all__:
        init = inspect.unwrap(getattr(getattr(skcae, name), "__init__", None))
        if defaults := getattr(init, "__kwdefaults__", None):
            defaults |= {key: FAST[key] for key in defaults.keys() & FAST.keys()}
    assert skcae.ConvAutoencoder().max_epochs == 1


def run_alone(path, options):
    """A page in a process of its own: its name, whether it ran, and what went wrong."""
    command = [sys.executable, __file__, path, f"--seed={options.seed}"]
    result = subprocess.run(
        command + ["--fast"] * options.fast, capture_output=True, text=True, check=False
    )
    said = (
        result.stderr if options.fast and not result.returncode else result.stdout + result.stderr
    )
    print(f"{path.name}: {'failed' if result.returncode else 'ran'}\n{said}", end="", flush=True)
    return result.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fast", action="store_true", help="train hastily, and say what fails")
    options = parser.parse_args()
    pages = [path.resolve() for path in options.pages]
    if len(pages) > 1:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            sys.exit(max(pool.map(lambda path: run_alone(path, options), pages)))
    if options.fast:
        hurry()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        run_page(*pages, options.seed, options.fast)


if __name__ == "__main__":
    main()
