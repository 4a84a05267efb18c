// Runs before the first paint so that a chosen theme never flashes the other one.
(function () {
  try {
    var prefs = JSON.parse(localStorage.getItem("spanhouse.prefs") || "{}");
    if (prefs.theme === "light" || prefs.theme === "dark") document.documentElement.dataset.theme = prefs.theme;
  } catch (error) {
    /* storage is closed to us: the system's theme is right then */
  }
})();
