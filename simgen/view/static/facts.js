"use strict";
// What is known of the clip: its edit list, things, events, margins, parameters, and where it is from.
(() => {
  const { el, figure, named, words, seconds, rgb } = physreel;

  // rows that a clause's evidence lights carry its path
  const list = (title, entries, prefix) => (entries.length ? el("div", { className: "list" }, el("h3", null, title),
    el("dl", null, entries.map(([key, value]) => {
      const { label, unit } = named(key);
      const shown = typeof value === "object" && value !== null ? JSON.stringify(value) : typeof value === "string" ? words(value) : figure(value, unit);
      return el("div", { data: { fact: `${prefix}${key}` } }, el("dt", null, label), el("dd", null, shown));
    }))) : null);

  const table = (heads, rows) => el("div", { className: "scroll" }, el("table", null,
    el("thead", null, el("tr", null, heads.map((head) => el("th", null, head)))), el("tbody", null, rows)));

  function shots(episode, player) {
    if (!episode.shots.length) return null;
    const go = (shot) => () => { player.pause(); player.show(shot.first_frame); };
    return el("section", null, el("h2", null, "The edit"), table(["shot", "begins", "lasts", "frames", "camera", "setting"],
      episode.shots.map((shot, n) => el("tr", { data: { fact: `shots.${n}.` } },
        el("td", null, el("button", { type: "button", className: "plain", onclick: go(shot) }, `shot ${n + 1}`)),
        el("td", null, seconds(shot.first_frame / player.rate)), el("td", null, seconds(shot.frames / player.rate)),
        el("td", null, `${shot.first_frame} – ${shot.first_frame + shot.frames - 1}`), el("td", null, words(shot.move)),
        el("td", null, words(shot.setting || "–"))))));
  }

  function events(episode, player) {
    if (!episode.events.length) return null;
    const who = (name) => (name ? words(name) : "");
    return el("section", null, el("h2", null, "What happens"), el("div", { className: "tall" },
      table(["", "event", "begins", "ends", "who", "impulse", ""], episode.events.map((event) => el("tr", { data: { fact: event.event_id } },
        el("td", null, el("button", { type: "button", className: "plain", title: "go there",
          onclick: () => { player.pause(); player.showTime(event.start_s); } }, event.event_id)),
        el("td", null, words(event.kind)), el("td", null, seconds(event.start_s)), el("td", null, event.end_s > event.start_s ? seconds(event.end_s) : ""),
        el("td", null, [event.body_a, event.body_b].filter(Boolean).map(who).join(", ")),
        el("td", null, event.impulse_ns === null ? "" : figure(event.impulse_ns, "N s")), el("td", null, event.value ?? ""))))));
  }

  function things(episode) {
    const row = (body) => el("tr", { data: { fact: `${body.static ? "setting" : "objects"}.${body.static ? body.name : body.object}`, body: body.name } },
      el("td", null, el("i", { className: "swatch", style: { background: rgb(body.rgb) } }), words(body.name)),
      el("td", null, words(body.kind)), el("td", null, body.static ? "fixed" : figure(body.mass_kg, "kg")),
      el("td", null, figure(body.restitution)), el("td", null, body.size.map((side) => figure(side)).join(" × ")));
    const heads = ["", "shape", "mass", "restitution", "size, m"];
    const [fixed, moving] = [episode.bodies.filter((body) => body.static), episode.bodies.filter((body) => !body.static)];
    if (!episode.bodies.length) return null;
    return el("section", null, el("h2", null, "What is in it"), table(heads, moving.map(row)),
      fixed.length ? el("details", null, el("summary", null, `${fixed.length} fixed: ${fixed.slice(0, 4).map((body) => words(body.name)).join(", ")}${fixed.length > 4 ? ", …" : ""}`), table(heads, fixed.map(row))) : null);
  }

  physreel.factSections = (episode, player) => {
    const { margins, parameters, quality } = episode.facts;
    const record = Object.entries({ ...episode.record, episode_id: episode.id }).map(([key, value]) => [key, key === "content_hash" ? value.slice(0, 12) : value]);
    const lists = [list("Outcome's margins", Object.entries(margins ?? {}), "outcome.margins."), list("Parameters", Object.entries(parameters ?? {}), "parameters."),
      list("Quality", Object.entries(quality ?? {}), "quality."), list("Record", record, "record.")].filter(Boolean);
    return [shots(episode, player), things(episode), events(episode, player),
      el("section", null, el("h2", null, "Measured, drawn, recorded"), el("div", { className: "lists" }, lists))];
  };
})();
