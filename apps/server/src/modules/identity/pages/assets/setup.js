// Takes the one-time code out of the link's fragment, which no server or log sees, into the form.
const field = document.getElementById('code');
const code = location.hash.slice(1);
if (field instanceof HTMLInputElement && code !== '') {
  field.value = code;
  history.replaceState(null, '', location.pathname);
  document.getElementById('username')?.focus();
}
