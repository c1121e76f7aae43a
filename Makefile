# Parley's build and its few commands; `make help` lists them.
# (`make --trace` shows the commands.)
#
# Sources are found by folder: shared/ becomes libparley.a, every other folder one program from its
# main.c and a library from the rest, so that unit tests can link whatever they look at.
# SAN=1 does everything with ASan and UBSan, in a build directory of its own; FUZZ=1 is for `make fuzz`.

ifdef FUZZ
BUILD    := build-fuzz
CC       := clang
OPTIMISE := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
else ifdef SAN
BUILD    := build-san
OPTIMISE := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
else
BUILD    ?= build
OPTIMISE := -O2 -D_FORTIFY_SOURCE=3
endif
export BUILD

PACKAGES := json-c libjwt libpq libwebsockets libcrypto
CPPFLAGS += -I. -I$(BUILD)/gen -D_GNU_SOURCE $(shell pkg-config --cflags $(PACKAGES))
# What makes a fault harder to use; tests/test_binaries.py looks for it in what was built.
HARDEN   := -fPIE -fstack-protector-strong -fstack-clash-protection \
            $(if $(filter x86_64%,$(shell $(CC) -dumpmachine)),-fcf-protection)
CFLAGS   += -std=gnu11 -g $(OPTIMISE) $(HARDEN) -Wall -Wextra -Wshadow -Wformat -Wformat-security -Werror
LDFLAGS  += $(filter -fsanitize=%,$(OPTIMISE)) -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed
LDLIBS   += -lpq -ljson-c -ljwt -lcrypt -lcrypto

# Each program's folder, and the libraries only it needs.
fcgi-app_DIR   := fcgi-app
fcgi-app_LIBS  := -lfcgi
ws-daemon_DIR  := ws-daemon
ws-daemon_LIBS := -lwebsockets -lev
courier_DIR    := courier
courier_LIBS   := -lcurl
parleyctl_DIR  := ctl
parleyctl_LIBS := -lcurl -lwebsockets

PROGRAMS := fcgi-app ws-daemon courier parleyctl
objects  = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $1/*.c))
TARGETS  := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
UNITS    := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*.c)) $(TARGETS:%=$(BUILD)/unit/fuzz_%)
LIBS     := $(PROGRAMS:%=$(BUILD)/lib%.a) $(BUILD)/libparley.a
C_FILES   = $(wildcard shared/*.[ch] $(foreach p,$(PROGRAMS),$($p_DIR)/*.[ch]) tests/unit/*.[ch] tests/bench/*.[ch] tests/fuzz/*.c tests/fuzz/support/*.[ch])

all: $(LIBS) $(PROGRAMS:%=$(BUILD)/%)  ## build everything (the default)

units: $(UNITS)

fuzzers: $(TARGETS:%=$(BUILD)/fuzz/%)

run:  ## install what is missing, build, run Parley on PORT (8080) until Ctrl-C
	@ctl/stack.sh run

start:  ## the same in the background
	@ctl/stack.sh start

upgrade:  ## build, and have what `make start` (or run) started replaced, one process after the other
	@ctl/stack.sh upgrade

stop:  ## stop what `make start` (or run) started
	@ctl/stack.sh stop

status:  ## tell what runs
	@ctl/stack.sh status

test:  ## build and run all tests, or those of TESTS (SAN=1: under ASan and UBSan; VALGRIND=1: some of them under memcheck)
	@ctl/install.sh build run test $(if $(VALGRIND),valgrind)
	@$(MAKE) --no-print-directory -j$$(nproc) all units
	@tests/run.sh $(TESTS)

bench:  ## measure, each figure beside a bare counterpart's
	@ctl/install.sh build run test
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/bench/run.sh

fuzz:  ## run every fuzz target for FUZZ_S (30) seconds under ASan and UBSan
	@ctl/install.sh build fuzz
	@$(MAKE) --no-print-directory -j$$(nproc) FUZZ=1 fuzzers
	@tests/fuzz/run.sh $(TARGETS)

soak:  ## steady traffic for SOAK_S (600) seconds; nothing may grow and nothing slow down
	@ctl/install.sh build run test
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@cd tests && /usr/bin/python3 -m soak

chaos:  ## kill, stop and cut off parts at random for CHAOS_S (120) seconds; nothing may be lost
	@ctl/install.sh build run test
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@cd tests && /usr/bin/python3 -m chaos

analyze:  ## look for faults with gcc -fanalyzer, clang-tidy and cppcheck
	@ctl/install.sh build analyze
	@$(MAKE) --no-print-directory $(BUILD)/gen/schema_version.h
	@tests/analyze.sh

format:  ## lay out the C sources as .clang-format says
	@ctl/install.sh format
	@clang-format -i $(C_FILES)

# ---- installing; DESTDIR is where a package is put together
PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc/parley
LIBEXECDIR  = $(PREFIX)/libexec/parley
DATADIR     = $(PREFIX)/share/parley
DOCDIR      = $(PREFIX)/share/doc/parley
UNITDIR     = $(PREFIX)/lib/systemd/system
SERVICES    = $(filter-out parleyctl,$(PROGRAMS))
FILL_IN     = sed -e 's|@LIBEXECDIR@|$(LIBEXECDIR)|' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|' -e 's|@DOCDIR@|$(DOCDIR)|'
# What stands between two marks in nginx.conf, as a file of its own; the first daemon is ws@1.
NGINX_PART  = sed -n '/---- BEGIN $1/,/---- END $1/p' nginx.conf | sed -e '1d;$$d' -e 's|/run/parley/ws\.sock|/run/parley/ws-1.sock|'

# The page of the settings, from the table that --help prints.
$(BUILD)/man/parley.env.5: docs/man/parley.env.5.in $(BUILD)/courier
	@mkdir -p $(@D)
	{ sed '/@SETTINGS@/,$$d' $<; \
	  $(BUILD)/courier --help | awk -F ' \\| ' '/^  [A-Z_0-9]+ \|/ { sub(/^ +/, "", $$1); \
	      printf ".It Ev %s\n%s\n.br\n(%s; default: %s)\n", $$1, $$4, $$2, $$3 == "" ? "empty" : $$3 }'; \
	  sed '1,/@SETTINGS@/d' $<; } >$@.new
	mv $@.new $@

install: all $(BUILD)/man/parley.env.5  ## put everything under PREFIX (/usr/local), settings in SYSCONFDIR (/etc/parley); DESTDIR for packages
	install -d $(addprefix $(DESTDIR),$(PREFIX)/bin $(LIBEXECDIR) $(DATADIR)/db $(DATADIR)/nginx $(DATADIR)/scripts $(DOCDIR) $(SYSCONFDIR) \
	    $(UNITDIR)/parley-.service.d $(PREFIX)/lib/sysusers.d $(PREFIX)/lib/tmpfiles.d \
	    $(PREFIX)/share/man/man1 $(PREFIX)/share/man/man5 $(PREFIX)/share/man/man8 $(PREFIX)/share/bash-completion/completions)
	install -m 755 $(SERVICES:%=$(BUILD)/%) $(DESTDIR)$(LIBEXECDIR)
	install -m 755 $(BUILD)/parleyctl $(DESTDIR)$(PREFIX)/bin
	install -m 644 db/*.sql $(DESTDIR)$(DATADIR)/db
	install -m 755 db/migrate.sh $(DESTDIR)$(DATADIR)/db
	install -m 644 docs/scripts/parley.sh $(DESTDIR)$(DATADIR)/scripts
	install -m 755 docs/scripts/parley-sendmail $(DESTDIR)$(DATADIR)/scripts
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(BUILD)/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	$(BUILD)/parleyctl completion >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/parleyctl
	$(call NGINX_PART,http) >$(DESTDIR)$(DATADIR)/nginx/http.conf
	$(call NGINX_PART,server) >$(DESTDIR)$(DATADIR)/nginx/server.conf
	install -m 644 ctl/apache.conf $(DESTDIR)$(DATADIR)
	sed -e 's|/usr/libexec/parley|$(LIBEXECDIR)|' -e 's|/etc/parley|$(SYSCONFDIR)|' ctl/apache-cgi.conf >$(DESTDIR)$(DATADIR)/apache-cgi.conf
	install -m 644 README.md CHANGELOG.md LICENSE nginx.conf $(wildcard docs/*.md docs/*.yaml docs/*.json) $(DESTDIR)$(DOCDIR)
	cd ctl/systemd && for unit in parley*.target parley*.socket parley*.service parley-.service.d/*; do \
	    $(FILL_IN) $$unit >$(DESTDIR)$(UNITDIR)/$$unit || exit 1; done
	install -m 644 ctl/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/parley.conf
	install -m 644 ctl/systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/parley.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/parley.env || install -m 640 ctl/parley.env $(DESTDIR)$(SYSCONFDIR)/parley.env

DEB_TREE = build/deb/parley

deb:  ## build build/deb/parley_*.deb and see what lintian says
	@ctl/install.sh build deb
	rm -rf build/deb
	mkdir -p $(DEB_TREE)
	git ls-files -z | xargs -0 cp --parents -t $(DEB_TREE)
	cp -r ctl/debian $(DEB_TREE)/debian
	cd $(DEB_TREE) && dpkg-buildpackage --build=binary --unsigned-changes
	lintian --fail-on error,warning build/deb/parley_*.changes

deb-test: deb  ## install, use, upgrade and purge that package on a fresh Debian that is booted for it (as root)
	@ctl/install.sh deb_test
	tests/deb.sh build/deb/parley_*.deb

clean:  ## remove what was built (var/ stays)
	rm -rf build build-san build-fuzz $(BUILD)

help:  ## show this
	@echo 'make TARGET, where TARGET is one of'
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "  %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo 'Settings: PORT=8080 ADDRESS=127.0.0.1 VAR=var (state directory), DATABASE_URL (instead of a'
	@echo 'private cluster), DAEMONS=1 API_WORKERS=4 AUTH_WORKERS=2, SAN=1, CHAOS_S=120 CHAOS_SEED (to repeat a run).'

# The schema the programs were built for, and their version: rewritten only when they change.
$(BUILD)/gen/schema_version.h: FORCE
	@mkdir -p $(@D)
	@schema=$$(ls db/ | sed -n 's/^0*\([0-9]\+\)_.*\.sql$$/\1/p' | sort -n | tail -n 1); \
	version=$$(git describe --tags --always --dirty 2>/dev/null || echo 0.1.0); \
	printf '#define SCHEMA_VERSION %s\n#define VERSION "%s"\n' "$${schema:-0}" "$$version" >$@.new
	@cmp -s $@ $@.new && rm $@.new || mv $@.new $@

$(BUILD)/obj/%.o: %.c Makefile | $(BUILD)/gen/schema_version.h
	@mkdir -p $(@D)
	@echo '  CC   $<'
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Archives are made anew: an object whose source is gone must not stay inside.
%.a:
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/libparley.a: $(call objects,shared)

define program_rules
$(BUILD)/lib$1.a: $(filter-out %/main.o,$(call objects,$($1_DIR)))
$(BUILD)/$1: $(BUILD)/obj/$($1_DIR)/main.o $(BUILD)/lib$1.a $(BUILD)/libparley.a
	@echo '  LINK $$@'
	@$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$($1_LIBS) $$(LDLIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rules,$p)))

# A unit test links what it uses of any program.
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIBS)
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(foreach p,$(PROGRAMS),$($p_LIBS)) $(LDLIBS) -lcmocka

# A fuzz target has its own PostgreSQL, libwebsockets and bcrypt: tests/fuzz/support/. As a unit program
# it replays its corpus; with FUZZ=1 libFuzzer drives it. pgpipe.c has a whole stand-in, which is linked first, so that
# the linker complains of a function it lacks; of other files it stands in for some functions.
WRAPPED := db_run session_user password_hash password_matches lws_callback_on_writable lws_set_timeout lws_rx_flow_control
FUZZ_SUPPORT := $(BUILD)/obj/tests/fuzz/support
FUZZ_LINK = $(CC) $(CFLAGS) $(LDFLAGS) -Wl,-u,database_up $(WRAPPED:%=-Wl,--wrap=%) -o $@ $(filter %.o,$^) -Wl,--start-group \
            $(filter %.a,$^) -Wl,--end-group $(foreach p,$(PROGRAMS),$($p_LIBS)) $(LDLIBS)

$(BUILD)/libfuzz.a: $(filter-out %/replay.o,$(call objects,tests/fuzz/support))

$(BUILD)/unit/fuzz_%: $(BUILD)/obj/tests/fuzz/%.o $(FUZZ_SUPPORT)/replay.o $(BUILD)/libfuzz.a $(LIBS)
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(FUZZ_LINK) -lcmocka

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/libfuzz.a $(LIBS)
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(FUZZ_LINK) -fsanitize=fuzzer

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d $(BUILD)/obj/*/*/*/*.d)

.SECONDARY:
.DELETE_ON_ERROR:
# Every target that `make help` lists, and some that it does not.
.PHONY: units fuzzers FORCE $(shell sed -n 's/^\([a-z-]*\):.*  ## .*/\1/p' $(firstword $(MAKEFILE_LIST)))
