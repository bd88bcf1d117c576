"""Sphinx: the site of ``make docs``. Pages are Markdown that GitHub shows as well."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_site")]

import alkit  # noqa: E402

project = "alkit"
author = "the alkit authors"
copyright = "the alkit authors"
release = version = alkit.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "from_code",
]
exclude_patterns = ["_build", "_site"]
nitpicky = False
suppress_warnings = ["myst.header"]  # decisions begin with bold words, not with headings

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # attributes as a list
napoleon_attr_annotations = False  # their types stand in the signature
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
default_role = "code"  # docstrings have names between single backticks
maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"alkit {release}"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5cab", "color-brand-content": "#0b5cab"},
    "dark_css_variables": {"color-brand-primary": "#7cb7ff", "color-brand-content": "#7cb7ff"},
}
copybutton_prompt_text = "$ "
pygments_style = "friendly"
pygments_dark_style = "github-dark"
