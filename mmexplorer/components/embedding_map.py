"""The map of an embedded collection as a Gradio component: points to hover, click, colour, filter and circle.

Its value is the text of `figures.embedding_map.map_payload`. Everything but two events happens in the browser:
`select` (gr.SelectData: index is the point, value its name) and `lasso` (gr.EventData: `indices` are the points inside,
none when the visitor clears). The prop `highlight`, the text of `figures.embedding_map.map_highlight`, lights points up
without drawing the others again.

The scripts stand inside one function, which is thereby also the source of the page that the visitor can download.
"""

import gradio as gr

from mmexplorer.components.component import beside, style

SCRIPTS = (
    "elements.js",
    "plotly_loader.js",
    "embedding_map_payload.js",
    "embedding_map_colours.js",
    "embedding_map_legend.js",
    "embedding_map_view.js",
    "embedding_map_pick.js",
    "embedding_map_overlay.js",
    "embedding_map_card.js",
    "embedding_map_plot.js",
    "embedding_map_morph.js",
    "embedding_map_export.js",
    "embedding_map.js",
)
EMPTY = "Choose a collection to see its map."


def embedding_map(value: str | None = None, *, plotly_url: str, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws a map payload; `plotly_url` comes from `plotly_source.plotly_url()`.

    `empty` is what it says before there is a map. Further keyword arguments go to gr.HTML (elem_id, highlight, ...).
    """
    scripts, css = "\n".join(map(beside, SCRIPTS)), style("embedding_map")
    return gr.HTML(
        value,
        html_template=beside("embedding_map.html"),
        css_template=css,
        js_on_load=f"function embeddingMap(element, props, watch, trigger) {{\n{scripts}\n}}\n"
        "embeddingMap(element, props, watch, trigger);",
        apply_default_css=False,
        **{"highlight": "", "plotly_url": plotly_url, "empty": empty, "page_css": css} | kwargs,
    )
