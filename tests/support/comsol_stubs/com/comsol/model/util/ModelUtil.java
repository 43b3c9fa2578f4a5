package com.comsol.model.util;

import com.comsol.model.Model;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;

/** Models that print each call that is made on them, as a chain with its arguments and their types. */
public class ModelUtil {

  public static Model create(String name) {
    return (Model) printing(Model.class, "model");
  }

  private static Object printing(final Class<?> type, final String chain) {
    InvocationHandler handler = new InvocationHandler() {
      public Object invoke(Object proxy, Method method, Object[] arguments) {
        if (method.getDeclaringClass() == Object.class) return chain;
        String call = chain + "." + method.getName() + "(" + written(arguments) + ")";
        Class<?> result = method.getReturnType();
        String name = method.getName();
        if (result == void.class || name.equals("create")) System.out.println(call);
        return result == void.class ? null : printing(result, call);
      }
    };
    return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler);
  }

  private static String written(Object[] arguments) {
    if (arguments == null) return "";
    String[] each = new String[arguments.length];
    for (int k = 0; k < each.length; k++) {
      Object value = arguments[k];
      String text = value instanceof Object[] ? Arrays.deepToString((Object[]) value) : String.valueOf(value);
      each[k] = value.getClass().getSimpleName() + " " + text;
    }
    return String.join(", ", each);
  }
}
