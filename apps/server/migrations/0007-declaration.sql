-- What GATEHOUSE_DECLARATION last applied, so that a start applies a content once.
create schema declaration;

create table declaration.applied (
  only_row boolean primary key default true check (only_row),
  -- argon2id of a digest of the content: the content holds passwords, so a plain hash of it would help to guess them.
  content_hash text not null,
  applied_at timestamptz not null
);
