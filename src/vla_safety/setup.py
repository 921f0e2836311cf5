from setuptools import find_packages, setup

package_name = "vla_safety"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="vla_ros maintainers",
    maintainer_email="maintainers@users.noreply.github.com",
    description="The safety gate: nothing outside the limits reaches the arm",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "safety_gate = vla_safety.node:main",
            "vla_safety_prove = vla_safety.prove:main",
        ],
        "vla_safety.estop": ["gpio = vla_safety.gpio:GpioEstop"],
    },
)
