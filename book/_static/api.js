// All rooms were once on the page book/api.html. A link to one of its anchors is sent on to the room's page.
(() => {
  const pages = "groups data models train methods information scores recipes experiment plots seeding cli";
  const rooms = new Set(pages.split(" "));
  // Rooms that share a page, and the headings that do not begin with their room's name.
  const moved = {
    observed: "groups", labels: "plots", tables: "plots", checks: "plots", colab: "plots", errors: "seeding",
    files: "seeding",
    "groups-requests-and-reweight": "groups", training: "train", "unlearning-methods": "methods",
    "mutual-information": "information", "scores-and-statistics": "scores", experiments: "experiment",
    "figures-and-names": "plots", "randomness-and-errors": "seeding", "command-line": "cli",
  };
  const addressOf = anchor => {
    // gru_lite.groups.reweight, module-gru_lite.groups, data-dataset, data
    const room = anchor.match(/^(?:module-)?gru_lite\.(\w+)/)?.[1] ?? anchor.match(/^\w+/)?.[0];
    const page = moved[anchor] ?? moved[room] ?? room;
    return rooms.has(page) ? `api/${page}.html#${anchor}` : null;
  };
  window.addressOf = addressOf; // for the tests, which ask for all anchors at once
  const sendOn = () => {
    const address = addressOf(location.hash.slice(1));
    if (address) location.replace(address);
  };
  addEventListener("hashchange", sendOn);
  sendOn();
})();
