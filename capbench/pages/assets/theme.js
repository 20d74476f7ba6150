// Light, dark, or what the system says.

const THEMES = { auto: 'Auto', light: 'Light', dark: 'Dark' };

/** A button that goes round the three; the choice is kept where the browser lets a page keep anything. */
function themeButton() {
  let theme = kept();
  const button = make('button', { type: 'button', class: 'theme', click: () => {
    const names = Object.keys(THEMES);
    theme = names[(names.indexOf(theme) + 1) % names.length];
    apply();
  } });
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${THEMES[theme]}`;
    try {
      localStorage.setItem('capbench-theme', theme);
    } catch {
      // a page from a file may have no storage
    }
  };
  apply();
  return button;
}

function kept() {
  try {
    const theme = localStorage.getItem('capbench-theme');
    return theme in THEMES ? theme : 'auto';
  } catch {
    return 'auto';
  }
}
