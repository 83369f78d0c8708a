-- Versions of what nodes keep in memory: a change bumps the row and notifies; a poll stands behind the notification.
create table kernel.change_topics (
  topic text primary key,
  version bigint not null default 1
);
