#pragma once

// The live page at `/`: one self-contained document that asks /status once a second.

namespace starling::peer {

inline constexpr const char* kLivePage = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>starling</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
  body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
  h1 { font-size: 1.2rem; font-weight: 600; } code { font-size: .9em; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
  th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #8884; }
  th:nth-child(-n+4), td:nth-child(-n+4) { text-align: left; }
  tr.self { font-weight: 600; } tr.failed, tr.left { opacity: .5; } tr.suspect { color: #c60; }
</style></head><body>
<h1>starling <code id="swarm"></code></h1><p id="line">asking…</p>
<table><thead><tr><th>peer</th><th>address</th><th>member</th><th>state</th><th>steps</th>
<th>samples/s</th><th>loss</th><th>test loss</th><th>accuracy</th><th>quality</th><th>spread</th><th>exchanges</th><th>shards</th></tr></thead>
<tbody id="members"></tbody></table>
<script>
const fixed = (x, n) => x == null ? "–" : Number(x).toFixed(n);
function row(m) {
  const tr = document.createElement("tr");
  tr.className = m.state + (m.self ? " self" : "");
  const cells = [m.name ? m.name + " (" + m.id.slice(0, 8) + ")" : m.id.slice(0, 8), m.address, m.reachable === false ? m.state + ", unreachable" : m.state, m.training ?? "–", m.steps ?? "–",
    fixed(m.samples_per_s, 0), fixed(m.loss, 4), fixed(m.test_loss, 4), fixed(m.accuracy, 4),
    m.quality == null ? "–" : Object.entries(m.quality).map(([k, x]) => k + " " + fixed(x, 4)).join(),
    m.spread == null ? "–" : Number(m.spread).toExponential(1), m.exchanges ?? "–", m.shards ?? "–"];
  for (const text of cells) tr.appendChild(document.createElement("td")).textContent = text;
  return tr;
}
async function refresh() {
  const line = document.getElementById("line");
  try {
    const s = await (await fetch("/status")).json();
    document.getElementById("swarm").textContent = s.swarm.slice(0, 8);
    line.textContent = s.live + " live members, " + (s.swarm_samples ?? 0) + " samples trained by all" +
      (s.reachable === false ? "; no member can dial this peer" : "");
    document.getElementById("members").replaceChildren(...s.members.map(row));
  } catch (error) { line.textContent = "this peer does not answer any more"; }
}
refresh(); setInterval(refresh, 1000);
</script></body></html>
)html";

}  // namespace starling::peer
