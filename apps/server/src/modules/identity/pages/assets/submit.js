// Sends the form of a page that only passes something on. Without JavaScript its button does.
const form = document.querySelector('form');
if (form) HTMLFormElement.prototype.submit.call(form);
