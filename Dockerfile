FROM python:3.11-slim
ENV PYTHON_JULIAPKG_PROJECT=/opt/julia/project
ENV JULIA_DEPOT_PATH=/opt/julia/depot:
ENV JULIA_CPU_TARGET="generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1)"
COPY . /opt/pyode_bridge
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu /opt/pyode_bridge
RUN python -m pyode_bridge install
ENV PYTHON_JULIACALL_EXE=/opt/julia/project/pyjuliapkg/install/bin/julia
ENV PYTHON_JULIACALL_PROJECT=/opt/julia/project
ENV PYTHON_JULIAPKG_OFFLINE=yes
RUN python -m pyode_bridge doctor --time
