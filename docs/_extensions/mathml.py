"""Formulas as MathML, which browsers draw themselves: no script, no font, no connection.

docutils brings the converter. What it cannot read is a warning, and so an error of the build.
"""

from html import escape

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def convert(node, block):
    """The formula of a node as MathML; as it is, with a warning, where that fails."""
    try:
        formula = tex2mathml(node.astext(), as_block=block)
        return formula.replace("<mo>&ApplyFunction;</mo>", '<mspace width="0.17em"/>')  # log p
    except Exception as error:
        logger.warning("formula %r: %s", node.astext(), error, location=node)
        return escape(node.astext())


def visit_math(translator, node):
    translator.body.append(convert(node, block=False))
    raise nodes.SkipNode


def visit_displaymath(translator, node):
    translator.body.append(f'<div class="math">{convert(node, block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app):
    inline, block = (visit_math, None), (visit_displaymath, None)
    app.add_html_math_renderer("mathml", inline, block)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
