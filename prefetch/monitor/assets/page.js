// Keeps the page as the server sees it: every frame brings the HTML of what has changed.
"use strict";

{
  const SILENT = 40; // seconds without a frame or a beat, which comes every 15, after which the connection is dead
  const LONGEST = 30; // seconds between two tries

  const element = (id) => document.getElementById(id);
  const rows = element("rows");
  const live = element("live");
  let wait = 1;
  let watchdog;

  function say(state, text) {
    if (live.textContent !== text) {
      live.className = state;
      live.textContent = text;
    }
  }

  function parsed(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  }

  function arrange(order) {
    order.forEach((id, at) => {
      const row = element(id);
      if (rows.children[at] !== row) rows.insertBefore(row, rows.children[at] ?? null);
    });
    while (rows.children.length > order.length) rows.lastElementChild.remove();
  }

  function show(frame) {
    document.title = frame.title;
    for (const [id, html] of Object.entries(frame.parts)) element(id).innerHTML = html;
    for (const [id, html] of Object.entries(frame.rows)) {
      const row = parsed(html);
      const old = element(id);
      if (old) old.replaceWith(row);
      else rows.append(row);
    }
    if (frame.order) arrange(frame.order);
  }

  function connect() {
    const source = new EventSource("events");
    const again = () => {
      source.close();
      clearTimeout(watchdog);
      say("lost", "not connected, trying again");
      // Not all at once where many watch, and ever more seldom where nobody answers.
      setTimeout(connect, 1000 * wait * (0.5 + Math.random()));
      wait = Math.min(2 * wait, LONGEST);
    };
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(again, 1000 * SILENT);
      wait = 1;
      say("live", "live");
    };
    source.addEventListener("beat", alive);
    source.addEventListener("frame", (event) => {
      show(JSON.parse(event.data));
      alive();
    });
    source.onerror = again;
    watchdog = setTimeout(again, 1000 * SILENT);
  }

  say("", "connecting");
  connect();
}
