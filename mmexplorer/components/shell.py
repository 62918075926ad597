"""The parts of the page's frame: its title and help, and the theme around everything.

System fonts only, one accent colour, and text that keeps WCAG AA contrast in light and dark; nothing is fetched.
"""

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, sizes

CSS = Path(__file__).with_name("shell.css")

TITLE = """<h1>mmexplorer</h1><p>See inside multimodal models: which words meet which pixels.</p>"""

HELP = """<details><summary>Help</summary><div>
<p>Choose a tab, give it a picture and words, and press its button. Answers come from models that run on this machine;
a model is loaded at its first use.</p>
<p><b>Keyboard.</b> Tab moves between controls, Enter and Space press, the arrow keys move between tabs, over words in
the viewer and along sliders. Ctrl and + enlarge everything for a projector.</p>
<p><b>Toy models</b> are small models that this project trained itself on drawn pictures of coloured shapes. They are
real transformers, small enough to look into, and they know nothing but that world: what they say about photographs
means little. Figures given for them hold for the toy world.</p>
<p>Set-up, flags and references are in the project's README.</p>
</div></details>"""


def title() -> gr.HTML:
    """The page's only first-level heading and a line below it."""
    return gr.HTML(TITLE, elem_id="mm-title", apply_default_css=False, js_on_load=None)


def help_fold() -> gr.HTML:
    """What the app is, how the keyboard works and what toy models are, folded away."""
    return gr.HTML(HELP, elem_id="mm-help", apply_default_css=False, js_on_load=None)


def theme() -> gr.themes.Base:
    """Gradio's default theme with system fonts, one accent, and its too faint greys made readable."""
    look = gr.themes.Default(
        primary_hue=colors.indigo,
        secondary_hue=colors.indigo,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_md,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        link_text_color_dark="*secondary_300",
        link_text_color_active_dark="*secondary_300",
        link_text_color_visited="*secondary_600",
        link_text_color_visited_dark="*secondary_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_cancel_background_fill=colors.red.c700,
        button_cancel_background_fill_hover=colors.red.c800,
        checkbox_background_color_selected_dark="*primary_600",
        checkbox_border_color_selected_dark="*primary_600",
        color_accent="*primary_600",
    )
    look.color_accent_dark = "*primary_400"  # set() knows no dark accent, yet every attribute becomes a variable
    return look
