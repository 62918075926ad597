// plotly.js, once per page and only when something is about to be drawn with it.
//
// The promise lies under a symbol of our own: gr.Plot brings another version and writes it to window.Plotly, so what
// stood there before is put back.

function loadPlotly(url) {
  const place = Symbol.for("mmexplorer.plotly");
  window[place] ??= new Promise((done, failed) => {
    const script = document.createElement("script"), before = window.Plotly;
    script.src = new URL(url, document.baseURI);
    script.onload = () => {
      done(window.Plotly);
      if (before) window.Plotly = before;
    };
    script.onerror = () => {
      delete window[place];
      script.remove();
      failed(new Error("The drawing library could not be loaded. Reload the page to try again."));
    };
    document.head.append(script);
  });
  return window[place];
}
