-- Run by PostgreSQL's image, once, when its volume is new: a database for each tenant.
create database acme;
create database globex;
create database initech;
\connect acme
create table orders (id bigint generated always as identity, item text not null, worker text not null);
\connect globex
create table orders (id bigint generated always as identity, item text not null, worker text not null);
\connect initech
create table orders (id bigint generated always as identity, item text not null, worker text not null);
