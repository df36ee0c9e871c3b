# Two commands do everything on a bare machine: `make drive` and `make test`.
# Where a ROS 2 is sourced (ROS_DISTRO is set) it is used; elsewhere ROS 2 Jazzy comes from wheels.

# Empty: the robot that the policy commands, the policy that is shipped for the robot, the car.
ROBOT ?=
POLICY ?=
SEED ?= 101
LAPS ?= 2
RATE ?= 0
VIEW ?=
# Of the page.
PORT ?= 8080
# Of a lesson (make teach) to go on with.
OUT ?=

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PYTHON ?= python3
PYTHONS := 3.10 3.11 3.12

ifeq ($(ROS_DISTRO),)
  ROS_EXTRAS := ros,ros-build,
  ROS_ENV := AMENT_PREFIX_PATH=$(CURDIR)/$(VENV) CMAKE_PREFIX_PATH=$(CURDIR)/$(VENV)
  # What was tried together, so that it still installs next year; `make lock` renews it.
  CONSTRAINT = $(addprefix -c ,$(wildcard constraints/python$(shell $(PYTHON) -c \
    'import sys; print("%d.%d" % sys.version_info[:2])').txt))
else
  # rclpy and the message packages of a system ROS are built against its numpy 1.
  VENV_FLAGS := --system-site-packages
  ROS_EXTRAS := $(if $(shell command -v colcon),,ros-build-system,)
  CONSTRAINT := 'numpy<2'
endif

# The virtual environment first, our own messages sourced, and the source tree before its installed links.
RUN := PATH="$(BIN):$$PATH" && export PATH && . install/local_setup.sh && export PYTHONPATH="$(CURDIR):$$PYTHONPATH" &&

.DEFAULT_GOAL := help
.PHONY: help drive teach test lint build lock clean

help:  ## this text
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'
	@echo 'variables of drive: ROBOT=$(ROBOT) POLICY=$(POLICY) SEED=$(SEED) LAPS=$(LAPS) RATE=$(RATE); VIEW=1: with the page, at PORT=$(PORT)'

drive: install/.built $(VENV)/.gl $(if $(VIEW),$(VENV)/.view)  ## simulator, policy node and recorder: an unseen world, with a report; ROBOT=car, quadrotor or rover
	@$(RUN) liquid-control drive --robot '$(ROBOT)' --policy '$(POLICY)' --seed $(SEED) --laps $(LAPS) --rate $(RATE) $(if $(VIEW),--view --port $(PORT))

teach: install/.built $(VENV)/.gl $(VENV)/.teach  ## drive three laps by hand in the browser; your own policy learns and drives
	@$(RUN) liquid-control teach --port $(PORT) $(if $(OUT),--out '$(OUT)')

test: install/.built $(VENV)/.gl $(VENV)/.test  ## install what tests need and run all of them
	@$(RUN) ruff check . && ruff format --check . && mypy && lint-imports
	@$(RUN) python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.test  ## style, types and the import rule
	@PATH="$(BIN):$$PATH" && ruff check . && ruff format --check . && mypy && lint-imports

build: install/.built  ## virtual environment and messages

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "Python 3.10 or newer is needed, found $$($(PYTHON) --version); set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV_FLAGS) $(VENV) \
	  || { echo 'No virtual environment could be made: apt-get install python3-venv'; exit 1; }
	@touch $@

$(VENV)/.runtime: $(VENV)/.created setup.py scripts/relocate_wheels.py
	@echo 'Installing the runtime (about 200 MB, once) ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(ROS_EXTRAS)sim]' $(CONSTRAINT)
	@$(BIN)/python scripts/relocate_wheels.py
	@touch $@

# The page: only for who wants to see it.
$(VENV)/.view: $(VENV)/.runtime
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(ROS_EXTRAS)sim,view]' $(CONSTRAINT)
	@touch $@

# The page, and what training needs.
$(VENV)/.teach: $(VENV)/.runtime
	@echo 'Installing the page and what training needs (torch and friends, once) ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(ROS_EXTRAS)sim,view,train]' $(CONSTRAINT)
	@touch $@

# Software rendering from a wheel, only where neither EGL nor OSMesa works.
$(VENV)/.gl: $(VENV)/.runtime
	@$(BIN)/python -m liquid_control.sim.gl 2>/dev/null \
	  || $(BIN)/pip install --quiet --disable-pip-version-check --no-deps lavavu-osmesa
	@$(BIN)/python -m liquid_control.sim.gl
	@touch $@

# CMake refuses to export a target whose include path (numpy's, in the virtual environment) lies inside the
# source folder, so colcon is given a folder of links.
SOURCES := CMakeLists.txt package.xml liquid_control msg launch config models scripts

install/.built: $(VENV)/.runtime CMakeLists.txt package.xml $(wildcard msg/*.msg) scripts/executable.in
	@echo 'Building the messages ...'
	@command -v c++ >/dev/null || { echo 'A C++ compiler is needed: apt-get install g++'; exit 1; }
	@mkdir -p build/src/liquid_control && touch build/COLCON_IGNORE $(VENV)/COLCON_IGNORE
	@for source in $(SOURCES); do ln -sfn $(CURDIR)/$$source build/src/liquid_control/$$source; done
	@cd build && PATH="$(BIN):$$PATH" $(ROS_ENV) colcon --log-base log build --symlink-install \
	  --base-paths src --build-base colcon --install-base ../install --event-handlers console_direct- \
	  --cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE=$(BIN)/python >build.log 2>&1 \
	  || { cat log/latest/*/stderr.log; exit 1; }
	@touch $@

$(VENV)/.test: $(VENV)/.runtime
	@echo 'Installing what training and tests need (torch and friends, once) ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(ROS_EXTRAS)test]' $(CONSTRAINT)
	@# The oldest ONNX Runtime that is supported, beside the one in use; for Python up to 3.11 only.
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then \
	  $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	    --target $(VENV)/onnxruntime-1.16 'onnxruntime==1.16.*' 'numpy<2'; fi
	@touch $@

lock:  ## renew the versions that are installed, for every Python that is supported
	@$(PYTHON) -m venv build/lock && build/lock/bin/pip install --quiet --disable-pip-version-check uv
	@for version in $(PYTHONS); do build/lock/bin/uv pip compile setup.py --quiet --upgrade --universal \
	  --extra ros --extra ros-build --extra test --python-version $$version --no-annotate --no-header \
	  -o constraints/python$$version.txt && echo constraints/python$$version.txt; done

clean:  ## remove what was built, keep recordings and results
	rm -rf build install log $(VENV)
