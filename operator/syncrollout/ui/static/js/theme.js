// Light, dark, or as the system has it. The choice is this browser's own.

const KEY = "syncrollout-theme";
const WORDS = { auto: "Auto", light: "Light", dark: "Dark" };

export function begin(button, text) {
  let choice = localStorage.getItem(KEY) ?? "auto";
  const apply = () => {
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    text.textContent = WORDS[choice] ?? WORDS.auto;
    button.setAttribute("aria-label", `Colours: ${text.textContent}`);
  };
  button.addEventListener("click", () => {
    const order = Object.keys(WORDS);
    choice = order[(order.indexOf(choice) + 1) % order.length];
    localStorage.setItem(KEY, choice);
    apply();
  });
  apply();
}
