// Takes the one-time code out of the link's fragment, which no server or log sees, into the form.
function takeCode() {
  const field = document.getElementById('code');
  const code = location.hash.slice(1);
  if (!(field instanceof HTMLInputElement) || code === '') return;
  field.value = code;
  history.replaceState(null, '', location.pathname);
  document.getElementById('username')?.focus();
}
takeCode();
// The link opened where the page is open already changes the fragment only.
addEventListener('hashchange', takeCode);
