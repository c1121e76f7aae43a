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
OPTIMISE := -O2 -D_FORTIFY_SOURCE=2
endif
export BUILD

PACKAGES := json-c libjwt libpq libwebsockets libcrypto
CPPFLAGS += -I. -I$(BUILD)/gen -D_GNU_SOURCE $(shell pkg-config --cflags $(PACKAGES))
CFLAGS   += -std=gnu11 -g $(OPTIMISE) -Wall -Wextra -Wshadow -Werror -fstack-protector-strong -fPIE
LDFLAGS  += $(filter -fsanitize=%,$(OPTIMISE)) -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
LDLIBS   += -lpq -ljson-c -ljwt -lcrypt -lcrypto

# Each program's folder, and the libraries only it needs.
fcgi-app_DIR   := fcgi-app
fcgi-app_LIBS  := -lfcgi
ws-daemon_DIR  := ws-daemon
ws-daemon_LIBS := -lwebsockets -lev
courier_DIR    := courier
courier_LIBS   := -lcurl
parleyctl_DIR  := ctl
parleyctl_LIBS := -lcurl

present  = $(foreach p,$1,$(if $(wildcard $($p_DIR)/main.c),$p))
objects  = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $1/*.c))
PROGRAMS := $(call present,fcgi-app ws-daemon courier parleyctl)
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

test:  ## build and run all tests (SAN=1: under ASan and UBSan)
	@ctl/install.sh build run test
	@$(MAKE) --no-print-directory -j$$(nproc) all units
	@tests/run.sh

bench:  ## measure, each figure beside a bare counterpart's
	@ctl/install.sh build run test
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/bench/run.sh

# Every target that `make help` lists, and some that it does not.
.PHONY: units fuzzers FORCE $(shell sed -n 's/^\([a-z]*\):.*  ## .*/\1/p' $(firstword $(MAKEFILE_LIST)))
