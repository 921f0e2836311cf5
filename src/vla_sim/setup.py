from setuptools import find_packages, setup

package_name = "vla_sim"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed", "models/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/models", [f"{package_name}/models/sim_arm.urdf"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="vla_ros maintainers",
    maintainer_email="maintainers@users.noreply.github.com",
    description="A simulated arm with cameras and a reach task, in MuJoCo",
    license="Apache-2.0",
    entry_points={"console_scripts": ["sim_arm = vla_sim.node:main"]},
)
