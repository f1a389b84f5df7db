"""A small robot's hand as URDF: two to four fingers on a wrist."""


def joint(name, parent, child, xyz, axis="", limits=(0.0, 1.6), rpy="0 0 0"):
    """A joint and its child link; a fixed joint without an axis."""
    moving = f'<axis xyz="{axis}"/><limit lower="{limits[0]}" upper="{limits[1]}" effort="1" velocity="1"/>'
    kind, moving = ("revolute", moving) if axis else ("fixed", "")
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="{xyz}" rpy="{rpy}"/>{moving}</joint><link name="{child}"/>'
    )


def urdf(side="right", fingers=3, mimic=False):
    """A robot's hand that points along x, its palm towards -z, on a wrist; sizes are half as large again as a person's.

    Fingers spread and then bend; the thumb turns out of the palm's plane first.
    """
    flip = 1 if side == "right" else -1
    parts = ['<robot name="gripper"><link name="arm"/>', joint("wrist", "arm", "palm", "0 0 0.3", "0 0 1", (-1.0, 1.0))]
    # A sensor's link ends no finger.
    parts.append(joint("sensor", "palm", "camera", "0.05 0 0.02"))
    for number, y in enumerate((0.035, 0.0, -0.035)[: fingers - 1]):
        name = "abc"[number]
        parts += [
            joint(f"{name}0", "palm", f"{name}_root", f"0.14 {flip * y} 0", "0 0 1", (-0.4, 0.4)),
            joint(f"{name}1", f"{name}_root", f"{name}_near", "0 0 0", "0 1 0", (-0.2, 1.6)),
            joint(f"{name}2", f"{name}_near", f"{name}_far", "0.07 0 0", "0 1 0", (0.0, 1.8)),
            joint(f"{name}3", f"{name}_far", f"{name}_end", "0.05 0 0"),
        ]
    parts += [
        joint("t0", "palm", "t_root", f"0.03 {flip * 0.04} 0", f"{flip} 0 0", (0.0, 1.5), f"0 0 {flip * 0.8}"),
        joint("t1", "t_root", "t_base", "0 0 0", f"0 0 {flip}", (-0.8, 0.6)),
        joint("t2", "t_base", "t_near", "0.07 0 0", f"0 0 {-flip}", (0.0, 1.2)),
        joint("t3", "t_near", "t_far", "0.05 0 0", f"0 0 {-flip}", (0.0, 1.4)),
        joint("t4", "t_far", "t_end", "0.04 0 0"),
        "</robot>",
    ]
    text = "\n".join(parts)
    if mimic:
        text = text.replace('<joint name="t3" type="revolute">', '<joint name="t3" type="revolute"><mimic joint="t2"/>')
    return text
